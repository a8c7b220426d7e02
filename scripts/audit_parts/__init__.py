"""Analysis that watches the judges: pure functions over frames, above all one of ratings and one of records.

From the data up::

    frames       the frames, and csv files
    home         the frames of a home's chain, executed again
    trust        EigenTrust with pre-trusted seeds beside the plain score
    fairness     fairness and goodness of members, REV2
    rings        groups whose members' support comes from within
    alerts       patterns of abuse that have happened, counted
    issuers      issuers whose records are unusual
    planted      what is hidden in data so that finding it can be measured
    published    the same data against published labels and figures
    measures     precision, recall and figures as tables
    plots        all of it to look at
    report       findings as documents and tables
    manual       the measured part of scripts/docs/audit.md

Nothing here writes to a chain, and a finding is never a verdict: it is numbers, a p-value or a rank, and what to
look at next.
"""
