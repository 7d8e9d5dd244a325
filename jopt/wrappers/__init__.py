"""Wrappers: transforms around another optimizer."""
