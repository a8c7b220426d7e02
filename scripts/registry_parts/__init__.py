"""The parts of ``registry.py``: the node's face, what people write, what is signed, and how it ends."""
