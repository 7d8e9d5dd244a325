"""Sphinx extensions of these docs."""
