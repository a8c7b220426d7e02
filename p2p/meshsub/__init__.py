"""Our router of gossip: what is published reaches everybody, whoever stands in between.

It speaks ``/meshsub/1.1.0`` as js- and go-libp2p do.  Source: the libp2p specifications "pubsub", "gossipsub v1.0" and
"gossipsub v1.1"; constants bear the names that those give them.  From what is said up to where it is sent::

    parts        what peers say to each other, decoded
    wire         the same as bytes
    signing      who published a message, and proof of it
    memory       messages and ids that are remembered for a while
    standing     what a peer was worth lately
    effects      what the mesh wants done
    topic        who is in the mesh of one topic, and who has to go
    peer         what is kept of peers, and of each topic
    mesh         the whole as a state machine: what comes in, what is to be done
    outbox       what waits for one peer
    router       streams in and out, around the mesh

``parts`` to ``mesh`` but ``wire`` know no clock, no network and no randomness of their own: a simulation drives them.
"""
