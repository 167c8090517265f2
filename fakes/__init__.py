"""An in-memory network for tests of asyncio programs."""
