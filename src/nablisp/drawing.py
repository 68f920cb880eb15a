"""The forms that draw: rows of SPECIAL that turn formulas and results into figures."""
