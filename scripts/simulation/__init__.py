"""A deterministic simulator: many histories of the very engine that a node runs, each from one seed.

Files, each importing only those above it::

    settings    what a run is asked to do, and the violation that ends one
    schedule    the virtual clock and its queue
    timeline    what happened, as text and as one hash
    disk        what survives a crash
    oracle      an independent count of votes, from the text of the protocol
    world       the parts of one history that everybody in it reaches
    network     links with delay, loss, duplication, reordering, cuts and clogs
    node        one node: an engine, a disk, a clock
    checks      what must hold whatever happens
    workload    clients, honest and not
    faults      what goes wrong, and when
    forge       blocks that no honest validator makes
    byzantine   validators that break the rules
    history     one run, from its seed to its outcome
    mutations   rules broken on purpose, to see that the simulator notices
    parallel    many runs on all cores
"""
