"""What became of the clauses since an older commit, and why."""
