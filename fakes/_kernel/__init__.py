"""What Linux does to a socket: endpoints, their buffers and their readiness."""
