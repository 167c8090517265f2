"""The subject of a certification: an implementation, its capabilities, and its event loop."""
