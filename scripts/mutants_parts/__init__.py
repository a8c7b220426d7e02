"""What ``scripts/mutants.py`` is made of: the breaks, the tests that reach them, and the workers that try them."""
