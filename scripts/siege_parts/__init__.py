"""A network under siege: what of its slots and finality is left, and what each attack gets.

::

    field      a fresh network of real processes, fed so that each slot has work, and who joins it
    verdicts   what a row came to, beside its goal
    attacks    rows of attackers
    lines      rows of bad lines
    soak       an hour of all that
    rows       every row by name
    report     the page
"""
