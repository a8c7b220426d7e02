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
    crowd        Sybils among real ratings, under the register's own rules
    past         what was known before a rating was made
    signs        foretelling whether a rating will be negative, judged by time
    plots        all of it to look at
    report       findings as documents and tables
    manual       the measured part of scripts/docs/audit.md
    asking       a question, and what is found
    anchored     reports that anybody can make again

Nothing here writes to a chain, and a finding is never a verdict: it is numbers, a p-value or a rank, and what to
look at next.
"""
