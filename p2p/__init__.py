"""The network: bytes become events, effects become bytes, and what a chain is worth is never judged here.

From the wire up::

    addresses    multiaddrs that may be dialled
    limits       token buckets and backlogs
    reputation   penalties that fade, bans that end
    frames       length-prefixed messages on a stream
    library      libp2p without what a stranger could abuse
    host         libp2p, guarded: TCP, Noise, Yamux, nothing else
    meshsub      GossipSub of our own: a mesh that strangers cannot take over, and its streams
    gossip       topics: publish, and check what others publish
    relay        small items for everybody, soon: collected, and passed on hop by hop
    requests     questions to one peer, with limits and one kind of failure
    handshake    hello, and the exchange of addresses
    book         whom this node could dial, and when
    troubles     what keeps this node from a peer, said once
    peers        who is connected: dial, greet, watch, drop, ban, dial again
    network      all of the above under one context manager

    signatures   decoding and checking off the event loop, once
    protocol     the ledger's conversation over a network

    client       a node's HTTP face, as programs beside it ask
    following    one transaction, watched there until it is final

What stays on this machine has a room of its own, :mod:`p2p.local`.
"""
