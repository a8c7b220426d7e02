"""The parts of ``follow.py``."""
