"""asyncio's names after `reference_impl.install()`, certified on every Python and loop."""
