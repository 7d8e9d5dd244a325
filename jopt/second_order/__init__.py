"""Second-order methods and line searches."""
