"""The changes of the clauses since an older commit, with reasons."""
