"""Other people's test suites, on asyncio's streams and on the reference in their place."""
