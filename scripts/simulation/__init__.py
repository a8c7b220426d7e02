"""A deterministic simulator: many histories of the very engine that a node runs, each from one seed.

Files, each importing only those above it::

    settings    what a run is asked to do, and the violation that ends one
    rules       the policy of simulated chains
    schedule    the virtual clock and its queue
    clocks      the clocks of a machine, which can go wrong
    timeline    what happened, as text and as one hash
    acts        what happens to a world from outside, as data
    disk        what survives a crash
    damage      how files end that were being written, and how they are damaged
    realdisk    the storage that nodes have, on such files
    answering   what a node says to peers that ask
    wire        what travels between nodes, and the door that it comes through
    world       the parts of one history that everybody in it reaches
    versions    what the next version of a node may choose otherwise
    node        one node: an engine, a disk, a clock
    keeping     who drops bodies of blocks, and with whose state one begins
    network     links with delay, loss, duplication, reordering, cuts and clogs
    bounds      how much an engine may keep and send
    effects     what breaks a promise that somebody outside was given
    checks      what must hold inside: comparisons with copies of the rules
    ratings     what members sign: ratings, invented or real
    offices     what everybody in a registry signs
    council     what changes many seats at once
    workload    clients, honest and not, and what they were promised
    forge       blocks and attestations that no honest validator makes
    strangers   peers without a key and without manners
    plan        from a seed to its acts
    rescue      people let a chain go on for which too many disks were lost
    faults      what goes wrong, when its slot has come
    villain     a validator that breaks the rules, and what theory can predict of it
    copies      a validator's key on two machines
    byzantine   the ways in which the rules are broken
    bridges     villains on both sides of a cut while validators change
    forgers     villains that sign what nobody may
    outlaws     villains made for one rule each
    patches     what each broken rule replaces in the chain
    mutations   rules broken on purpose, to see that the simulator notices
    sharing     what all nodes make of the same, made once
    meshed      a network whose links are those of a manifest, and whose gossip goes through meshes
    siege       the strangers of a manifest
    staging     a manifest, carried out
    history     one run, from its seed to its outcome
    record      the file that keeps how histories ended
    shrink      from a history that fails to a short one that fails in the same way
    parallel    many runs on all cores
    matrix      every attack against what theory predicts of it
    sweep       every broken rule that has a name, until a history shows it
    trials      what every break of the consensus is tried with
    argued      breaks that have no effect, and why
    breaking    a process whose forks run histories with one break in force
    everyrule   every place of the consensus broken in turn, until a history shows an effect
"""
