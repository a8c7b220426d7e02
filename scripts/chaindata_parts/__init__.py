"""The parts of ``chaindata.py``: the file that carries a chain, what makes one, and what looks after a home."""
