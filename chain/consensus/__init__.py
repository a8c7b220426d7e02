"""Votes, finality, the fork choice, and what every header must satisfy."""
