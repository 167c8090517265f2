"""Linux's sockets: endpoints, their buffers and their readiness."""
