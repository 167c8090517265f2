"""Certifying again and again, under load: no verdict may change."""
