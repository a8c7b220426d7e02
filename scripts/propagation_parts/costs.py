"""What a message costs a node, in bytes and in time.

The times are of the two shared cores behind the figures in performance.md, some of an earlier version, all work of a
node in one queue; so what a thousand simulated nodes show does not depend on the machine that simulates them.
"""

from __future__ import annotations

# A rating as it is signed, and its id in an announcement.
TRANSACTION_BYTES = 141
ID_BYTES = 32
# Around a message: sender, topic, signature and key of pubsub; Noise, Yamux and TCP/IP.
ENVELOPE_BYTES = 300

# CPU of p2p/ for a message of gossip, its sending included, measured with 700 bytes and meshes of two and four hosts
# in one process: the first copy 1.17 ms, with the signature of its sender; a further copy 0.61 ms.
FIRST_COPY_US = 1_200
FURTHER_COPY_US = 600
# Ed25519 checks at 7,332 a second, a header's too: by OpenSSL.  The nodes' own verifier takes half of that.
SIGNATURE_US = 140
# A transaction of a block whose signature is known: 3.49 times that rate.
EXECUTION_US = 40
# A block's own share in engine.handle(), with the votes of 100 validators; fewer cost less.
BLOCK_US = 400
# The longest that a commit takes; each takes from 1 ms to this.
COMMIT_MS = 10
# Transactions are collected so long before they are sent, as p2p.protocol does it.
BATCH_WAIT_US = 50_000

# An attestation as it is signed, and around a frame of them: its list, Yamux, Noise and TCP/IP.
ATTESTATION_BYTES = 180
FRAME_BYTES = 100
# CPU of a frame of 190 to 18,000 bytes on a stream that stays open, measured at 250 frames a second between two hosts
# in one process: 0.65 ms for both ends (0.34 ms one after the other), where a message of gossip cost them 1.4 ms.
FRAME_SENT_US = 300
FRAME_TAKEN_US = 350
# To take one out of its frame, to hash it and to look it up; one that is new is decoded, too.
ITEM_US = 10

# Upload in Mbit/s that EIP-7870 recommends to validators that attest, and to full nodes.
VALIDATOR_UPLOAD_MBPS = 25
OBSERVER_UPLOAD_MBPS = 15
