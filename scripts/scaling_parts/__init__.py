"""What ``scripts/scaling.py`` is made of: the study, its tables and its picture."""
