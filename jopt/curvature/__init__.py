"""Curvature: estimates of the Hessian's diagonal, and natural gradients."""
