"""The tests: each checks one clause, on every network and in every role where it makes sense."""
