"""Certify other people's libraries, with docs/field's adapters, into docs/generated/field.md."""
