"""What ``scripts/model.py`` is made of: long runs of ``tests/model``, and the page that tells of them."""
