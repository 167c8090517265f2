"""Does the conformance suite notice when the reference is wrong? Mutation testing of the suite.

Every mutant is the reference with one small mistake in it. The suite certifies each; one that it
passes is a survivor, and shows a gap in the suite, dead code in the reference, or a change that
makes no difference, which `equivalent.toml` then lists with the reason.

To read it, in this order: `operators` (the mistakes), `worker` (a pytest plug-in that runs the
suite on mutants, in forked processes), `equivalents` (the list), `campaign` (several Pythons and
loops), `table` (the result), `__main__` (the command).
"""
