"""asyncio's streams on the event loop rloop, which is not finished and says so.

streamcert certify rloop_streams --loop rloop:new_event_loop --network tcp
"""

from asyncio import StreamReader, StreamWriter, open_connection, start_server

__all__ = ["StreamReader", "StreamWriter", "open_connection", "start_server"]

# Its description lists TLS and Unix sockets among what is to come.
without = {
    *("open_unix_connection", "start_unix_server", "StreamWriter.start_tls"),
    *("open_connection.ssl", "start_server.ssl"),
}
