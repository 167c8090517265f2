"""Fuzzing of the reader, guided by coverage where atheris is installed."""
