"""The parts of ``scripts/testnet.py``: what to submit, the homes, the processes, the view and the verdict."""
