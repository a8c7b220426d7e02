"""A chain in tables, for SQL, pandas and dashboards.

::

    tables     every table and column, and what it means
    page       the same as a page
    sources    the blocks of a node, or of a home
    book       final blocks, executed: the rows that follow from them
    database   DuckDB or PostgreSQL, a transaction at a time
    index      what was indexed, and what is next
    parquet    what happened, a folder a day

What is final is executed once more, by the rules of ``chain/``: each block must lead to the state root in its header,
and what it changed in the state becomes the rows that changed.  The rows say what the documents of the HTTP API say.
What is not final yet is in ``blocks`` alone, and is replaced as the head moves.
"""
