"""What came of a certification, and the forms in which it is shown."""
