"""What asyncio puts on a socket: the loop's methods, transports, servers and TLS."""
