"""The parts of ``registry.py``: what people write, what is signed, and how it ends."""
