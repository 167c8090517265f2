"""Random programs on an implementation of the streams, until one goes wrong."""
