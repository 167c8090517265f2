"""Certify what others have written, by the adapters of docs/field, into docs/generated/field.md."""
