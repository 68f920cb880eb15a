"""Figures drawn: each module turns a `Figure` or a `Movie` into characters or into bytes."""
