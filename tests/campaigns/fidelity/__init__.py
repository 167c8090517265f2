"""The verdicts in memory beside those over the kernel: they must be the same."""
