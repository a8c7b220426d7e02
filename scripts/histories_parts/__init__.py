"""The parts of ``scripts/histories.py``: random policies, random transactions, the recount, one history."""
