"""The result of a certification, and the forms that show it."""
