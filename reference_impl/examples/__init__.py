"""The examples of the streams page as programs: ``python -m reference_impl.examples.NAME``."""
