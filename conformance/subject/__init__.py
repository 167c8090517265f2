"""What is certified: an implementation, what it offers, and the event loop that it runs on."""
