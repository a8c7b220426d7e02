"""Networks of a thousand nodes on one machine: the engine that nodes run, gossip, and the delays of the real world.

Files, each importing only those above it::

    delays       how long a message takes from region to region, as measured by others
    costs        what a message costs a node, in bytes and in time
    mesh         who gossips with whom
    sharing      what a thousand engines need to hold only once
    gossip       messages on their way: announcements, transactions, requests
    scoreboard   what is measured while the usual checks go on
    experiment   one network for some slots, from its seed to its figures
    tables       tables in documents
    attestations how what every validator signs gets to the next leaders, by several ways
    report       the figures as tables
    plot         the figures as a picture
"""
