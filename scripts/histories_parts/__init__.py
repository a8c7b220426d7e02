"""The parts of ``scripts/histories.py``: random policies, random transactions, one history."""
