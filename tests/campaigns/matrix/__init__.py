"""Certificates of asyncio and the reference on every Python and loop, side by side."""
