"""Does the conformance suite notice when an implementation is wrong? Mutation testing of the suite.

Every mutant is an implementation (the reference, the lookalike `plain`, CPython's own) with one
small mistake in it. The suite certifies each; one that it passes is a survivor, and shows a gap in
the suite, dead code in the implementation, or a change that nobody observes or forbids, which the
list of accepted ones then explains.

To read it, in this order: `operators` (the mistakes), `campaign` (whose mutants, tried on which
Pythons and loops), `accepted` (the list), `table` (the result), `__main__` (the command).
"""
