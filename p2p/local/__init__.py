"""What of a node stays on its own machine: nothing in here speaks to peers.

::

    home         a node's folder: key, configuration, genesis, database
    config       config.toml: every setting, its check and its words
    reload       what a running node takes over of a changed config.toml
    keyfile      key files, plain or encrypted
    passphrase   where the passphrase of an encrypted key comes from
    keys         node.py key: show, encrypt, decrypt
    whole        homes that are whole or not there
    carried      files that operators carry from machine to machine
    founding     a network that several organisations found: plan, entries, genesis
    founders     the commands that they type
    handover     a validator's signing state, on its way to another machine
    restarting   a restart that people agree on, in a file that each signs
    arrival      joining by state, before a node runs
    waking       the engine of a node that starts, as its home has it
    lookup       what a running node looks up in its database, one question at a time
    presence     how a node is found: its transport's settings, node.json
    lifetime     until a signal, or the end of whoever started it
    supervisor   what systemd is told: ready, stopping
    startup      the first moments of a program: Ctrl-C is quiet
    process      standard streams, signals, the garbage collector
    mistyped     a command line that cannot be read, in a sentence
    commandline  what every command line shares
    at_rest      commands for a home whose node rests
    loglines     a line of the log, as wide as a terminal
    logs         the log: bounded, off the event loop, a rate for each line
    examine      what could be wrong with a home, its node, and how peers see it
    doctor       node.py doctor: all of that, each with its remedy
    attendance   which validators did their part, as metrics
    scrubbing    what is stored, looked through for damage
    keeping      what blocks say: kept, dropped or fetched, as the home's mode has it
    metrics      where a node stands, as metrics
    telemetry    what happened, as logs, metrics, the last head moves
    addressbook  what this machine calls the owners of keys
    broadcast    what happens, told to whoever listens
    problems     what went wrong, as HTTP says it
    reading      what is read of the database off the node's own turn
    parameters   what a question takes, and how it is read
    endpoints    every question of the HTTP API, in one table
    openapi      the same as an OpenAPI document
    face         what a running node answers
    callers      who is connected, and who makes room
    door         who may ask, and from where
    pages        the explorer's files
    stream       events for as long as somebody reads
    http         the HTTP API: its routes, what is read, what is wrong
"""
