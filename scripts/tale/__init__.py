"""A short story of any policy, made from the policy itself: what it can do is done once, on real nodes.

=========== ===========================================================================================
plots       what a policy gives to tell: a record for each category, and what becomes of it
company     who takes part, with their keys
tale        the story, chapter by chapter; how its scenes go is the municipal story's
=========== ===========================================================================================
"""
