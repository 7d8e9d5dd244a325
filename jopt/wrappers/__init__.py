"""Wrappers: transforms around another optimizer."""

from jopt.wrappers.decay_first import decay_first as decay_first
