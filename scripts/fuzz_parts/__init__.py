"""Feeding garbage to whatever reads bytes from outside.

decoders   every decoder that faces the network, with valid bytes to start from
mutate     changing the structure of a message rather than its bytes
child      one decoder under coverage-guided fuzzing, in a process of its own
"""
