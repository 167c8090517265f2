"""The states of a TCP socket, by Linux's numbers."""

import enum


class TCPState(enum.IntEnum):
    """The values of `tcpi_state`."""

    ESTABLISHED = 1
    SYN_SENT = 2
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    CLOSE = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
