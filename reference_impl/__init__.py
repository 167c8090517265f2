"""The streams API of asyncio, as its documentation describes it."""
