"""Methods for functions with kinks, where gradients jump."""
