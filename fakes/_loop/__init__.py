"""Time: the loop with virtual time, and the network under a loop with real time."""
