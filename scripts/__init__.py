"""Commands for operators and developers; each is run as ``python scripts/NAME.py``."""
