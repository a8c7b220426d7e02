"""The register computed a second time, from what became final alone, to compare with what the rules made of it.

::

    lives       the life stories that are kept: records, authorities, motions
    book        the register, and what the stories in it add up to
    rules       what each row, and each passing of time, does to it
    rows        blocks as the rows that the rules read
    entries     the state that follows, entry by entry, and where a chain's state differs

The rules of ``chain/`` keep sums and counters up to date step by step.  Here are only life stories, and everything is
summed from scratch when it is asked for: a mistake there is not made here again.  A test holds the
first three to the standard library, and the others to what encodes and decodes.
"""
