"""`python -m nablisp`: the command."""

from .cli import main

raise SystemExit(main())
