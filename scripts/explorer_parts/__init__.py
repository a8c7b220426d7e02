"""The parts of ``scripts/explorer.py``: a browser without a window, and the pictures it takes."""
