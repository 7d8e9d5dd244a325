"""Doors from other frameworks: their optimizers by their own names and arguments.

`jopt.interop.torch`, `jopt.interop.keras` and `jopt.interop.tensorflow` need none of
these installed. Each function returns a plain jopt transform or schedule, which prints
as what it is in jopt's words.
"""
