"""The register computed a second time, from what became final alone, to compare with what the rules made of it.

::

    lives       the life stories that are kept: records, authorities, motions
    council     who makes blocks, and which changes of that wait for their turn
    standing    where somebody stands, from what is known of it
    book        the register, and what the stories in it add up to
    voices      what members say of one another
    persons     whose a key is: guardians, recoveries, who leaves, what is void
    people      what people do: enrol, move, and how much of it a day
    rules       what each row, and each passing of time, does to it
    rows        blocks as the rows that the rules read
    entries     the state that follows, entry by entry, and where a chain's state differs
    follow      reading a chain, and when the votes bring a change of the validators into force

The rules of ``chain/`` keep sums and counters up to date step by step.  Here are only life stories, and everything is
summed from scratch when it is asked for: a mistake there is not made here again.  A test holds all
but the last three to the standard library, and the next two to what encodes and decodes.  Only when a change of the
validators is in force does no row say; that is what the votes of the chain itself are asked for.
"""
