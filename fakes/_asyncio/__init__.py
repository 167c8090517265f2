"""asyncio's part of the simulation: the loop's methods, transports, servers and TLS."""
