"""What ``scripts/inspect_chain.py`` is made of; files import only files above them::

question      how a command asks one commit of a home and prints its answer
dryrun        what another policy would do to a recorded state
plots         how many members stand in which tier, as a figure
people        commands about members and records
institutions  commands about authorities, motions and policies
offline       commands that make and check proofs
"""
