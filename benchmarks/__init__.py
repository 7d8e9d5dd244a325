"""Scripts that print every figure which jopt claims: `python -m benchmarks.NAME`."""
