"""Samplers of posterior distributions: descent with the noise that belongs to it."""
