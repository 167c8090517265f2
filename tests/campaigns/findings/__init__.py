"""The programs of docs/findings.md: they print what the page says."""
