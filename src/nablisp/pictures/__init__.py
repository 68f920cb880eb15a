"""Figures drawn: in a terminal, in files, on pages."""
