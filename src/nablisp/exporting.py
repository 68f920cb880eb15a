"""The form that writes formulas for other programs: a row of SPECIAL over export."""
