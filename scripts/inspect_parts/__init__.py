"""What ``scripts/inspect_chain.py`` is made of.

::

    question     how a command asks one commit of a home and prints its answer
    words        proposals and policies in words
    documents    the things of the register as documents
    replay       the chain executed again, to tell what happened to somebody
    dryrun       what another policy would do to a recorded state
    plots        how many members stand in which tier, as a figure
    people       commands about members and records
    institutions commands about authorities, motions and policies
"""
