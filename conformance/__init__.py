"""The conformance suite for implementations of the asyncio streams API."""
