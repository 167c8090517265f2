"""For tests: scripts, traces, pairs and a transport without a peer."""
