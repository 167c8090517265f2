"""The tools of a clause's test."""
