"""The form that writes a page about a program: a row of SPECIAL over pictures."""
