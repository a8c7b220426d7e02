"""What ``scripts/growth.py`` is made of: the study, its tables and its picture."""
