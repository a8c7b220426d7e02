"""The network: bytes become events, effects become bytes, and what a chain is worth is never judged here.

From the wire up::

    clocks       what the machine's clocks show
    addresses    multiaddrs that may be dialled, and how far they reach
    names        what the names in the operator's own stand for
    listening    where a node may listen
    limits       token buckets and backlogs
    influx       what comes unasked, each in its turn
    reputation   penalties that fade, bans that end
    frames       length-prefixed messages on a stream
    library      what libp2p lacks, and what a stranger could abuse in it
    refusals     why a peer is sent away, so that it can read it
    host         libp2p, guarded: TCP, Noise, Yamux, nothing else
    courtesy     what any peer of libp2p may ask: who this is, whether it is there
    meshsub      GossipSub of our own: a mesh that strangers cannot take over, and its streams
    gossip       topics: publish, and check what others publish
    relay        small items for everybody, soon: collected, and passed on hop by hop
    dues         what replies cost, and who waits for it
    requests     questions to one peer, with limits and one kind of failure
    handshake    hello, and the exchange of addresses
    book         whom this node could dial, and when
    bookfile     the peer book on disk
    hearsay      how far this node acts on what strangers say of addresses
    troubles     what keeps this node from a peer, said once
    dialler      whom to dial now, and which addresses are right
    lobby        who gives way to a newcomer
    link         one connection, and what is known of it
    exchange     what peers tell each other of addresses
    farewells    peers that part tell each other why
    pulse        whether a peer is still there
    entrance     who is let in, and in whose place
    peers        who is connected: greet, watch, drop, ban
    network      all of the above under one context manager

    signatures   decoding and checking off the event loop, once
    prices       what the ledger's replies cost whom
    backend      what that needs of the node
    reception    what gossip and the relay bring
    protocol     the ledger's conversation over a network

    watching     a network followed by its headers alone
    fetching     a final state fetched from them
    consult      a short visit to peers: what they say of themselves, and of a node
    client       a node's HTTP face, as programs beside it ask
    following    one transaction, watched there until it is final

What stays on this machine has a room of its own, :mod:`p2p.local`.
"""
