"""Right implementations that are unlike the reference, and that must conform."""
