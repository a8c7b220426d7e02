"""Every attack by name: what it sends, and what a sound node does about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scripts.abuse_parts import connections, gossip, relay, requests, surroundings
from scripts.abuse_parts.target import Target


@dataclass(frozen=True, slots=True)
class Attack:
    """``limit``: what keeps it small, where honest peers may do a little of it and it is no reason for a ban.

    ``needs_key``: only the holder of a validator's key can do it.
    """

    name: str
    sent: str
    run: Callable[[Target], Awaitable[None]]
    limit: str = ""
    needs_key: bool = False

    @property
    def is_banned(self) -> bool:
        """Whether whoever does it is thrown out."""
        return not self.limit


ATTACKS = (
    Attack("raw-bytes", "HTTP, noise, a name of a gigabyte", requests.raw_bytes, "a handshake ends after 5 s"),
    Attack("undecodable-identities", "gossip from ids and keys that do not decode", gossip.undecodable_identities),
    Attack("not-protobuf", "gossip frames that are not protobuf, or have no end", gossip.not_protobuf),
    Attack("garbage-requests", "garbage to each kind of request", requests.garbage_requests),
    Attack("validator-fodder", "well-signed gossip that does not decode", gossip.validator_fodder),
    Attack("giant-keys", "messages signed with RSA keys of a megabyte", gossip.giant_keys),
    Attack("countless-parts", "half a million empty messages in one frame", gossip.countless_parts),
    Attack("control-flood", "grafts, prunes, wants and subscriptions without end", gossip.control_flood),
    Attack(
        "stray-control",
        "grafts, prunes and wants of what there is not",
        gossip.stray_control,
        "not even answered, and whom a PRUNE names nobody dials; offers that come to nothing are soon not looked at",
    ),
    Attack(
        "endless-topics",
        "topics with names of a megabyte",
        gossip.endless_topics,
        "names of 256 characters are remembered",
    ),
    Attack(
        "vouched-crowd",
        "silent grafts of eighty that a validator's key vouches for",
        gossip.vouched_crowd,
        "a validator has two machines with kept places, the newest",
        needs_key=True,
    ),
    Attack(
        "silent-grafts",
        "a place in the mesh, and nothing passed on",
        gossip.silent_grafts,
        "whoever is silent while others speak gives way to others; validators and named peers keep their places",
    ),
    Attack(
        "offer-storm",
        "offers of messages that there are not",
        gossip.offer_storm,
        "ten offers and 1,024 ids a second are looked at; whose come to nothing, its are not any more",
    ),
    Attack(
        "unread-gossip", "nothing, and it reads nothing", gossip.unread_gossip, "2 MB wait for it, then it is let go"
    ),
    Attack("invalid-transactions", "transactions with bad signatures", gossip.invalid_transactions),
    Attack(
        "duplicate-transactions",
        "the same good batch again and again",
        gossip.duplicate_transactions,
        "a signature is checked once; a ban beyond 500 messages a second",
    ),
    Attack(
        "useless-transactions",
        "well-signed ones of strangers",
        gossip.useless_transactions,
        "1 MB of a peer is checked at once, the rest waits at its end",
    ),
    Attack(
        "enrolments",
        "members by the thousand",
        gossip.enrolments_without_end,
        "1 MB of a peer is checked at once; half of a pool is for those who are no members yet",
    ),
    Attack(
        "ratings-of-nobody",
        "members whose ratings no block ever takes",
        gossip.ratings_of_nobody,
        "one of each is tried a block, the rest does not count as what waits, and gives way in a full pool",
    ),
    Attack("wrong-leaders", "headers well signed by nobody in particular", gossip.wrong_leaders),
    Attack(
        "unknown-leaders",
        "the same, on no block that anybody knows",
        gossip.unknown_leaders,
        "dropped, since it may be of a branch with other validators; a ban for more of no use than is usual",
    ),
    Attack("forged-announcements", "headers in the right leader's name", gossip.forged_announcements),
    Attack(
        "orphans",
        "headers of one slot that stand on nothing",
        gossip.orphans,
        "two are announced for a slot, the rest is dropped",
        needs_key=True,
    ),
    Attack(
        "future-blocks",
        "headers of next year's slots",
        gossip.future_blocks,
        "dropped, as a clock may be wrong",
        needs_key=True,
    ),
    Attack("garbage-attestations", "frames for the relay that cannot be read", relay.garbage_attestations),
    Attack("forged-attestations", "attestations in validators' names", relay.forged_attestations),
    Attack(
        "attestation-flood",
        "well-signed attestations of strangers",
        relay.attestation_flood,
        "not even checked; a ban beyond 1,000 a second",
    ),
    Attack(
        "same-attestations",
        "the same frame of the relay again and again",
        relay.same_attestations,
        "let be; a ban beyond 40 frames a second",
    ),
    Attack(
        "two-faced-attestations",
        "attestations of one height without end",
        relay.two_faced_attestations,
        "two are heard of a height, the rest is dropped",
        needs_key=True,
    ),
    Attack(
        "request-flood",
        "the largest requests as fast as it goes",
        requests.request_flood,
        "two of a peer are answered at once; a ban beyond 50 a second",
    ),
    Attack(
        "patient-askers",
        "the same megabyte, just below the rate",
        requests.patient_askers,
        "what is given again costs: 1 MB a second for all together, the rest waits",
    ),
    Attack(
        "unread-data",
        "megabytes that nobody reads, on each stream",
        requests.unread_data,
        "4 MB of a connection, beyond which it is closed",
    ),
    Attack("idle-streams", "streams that are never used", requests.idle_streams),
    Attack(
        "dropped-streams",
        "streams that are dropped at once",
        requests.dropped_streams,
        "a ban beyond 200 a second",
    ),
    Attack(
        "slow-requests",
        "requests byte by byte, on every stream",
        requests.slow_requests,
        "given up after 10 s each; a ban for some twenty",
    ),
    Attack(
        "unread-replies",
        "megabytes asked for and not taken",
        requests.unread_replies,
        "gives way after 2 s where another waits, and loses its connection",
    ),
    Attack(
        "half-open-handshakes",
        "a hundred silent sockets",
        requests.half_open_handshakes,
        "64 handshakes at once, 32 from one address; the oldest gives way",
    ),
    Attack(
        "many-connections",
        "500 sockets, 30 identities",
        requests.many_connections,
        "32 strangers, besides the peers that it was told of or dials; the least useful gives way",
    ),
    Attack(
        "short-connections",
        "connections that end at once, a thousand a second",
        connections.short_connections,
        "ten handshakes a second with one address, and 128 at once",
    ),
    Attack(
        "frame-storm",
        "frames that mean nothing, five thousand in a write",
        connections.frame_storm,
        "1,000 a second are taken of one, 5,000 of all strangers, and others run between them; the rest waits",
    ),
    Attack(
        "streamless-data",
        "megabytes for a stream that there is not",
        connections.streamless_data,
        "what nobody asked for counts as a frame each 4 kB: 4 MB a second, the rest waits",
    ),
    Attack(
        "idle-identity",
        "a greeting, and nothing more",
        requests.idle_identity,
        "whoever is of no use gives way to a newcomer",
    ),
    Attack(
        "named-victims",
        "greetings that name a third party's ports",
        surroundings.named_victims,
        "such an address is dialled once; eight in vain to one host, then one every two minutes",
    ),
    Attack(
        "address-flood",
        "addresses by the thousand, at which there is nobody",
        surroundings.address_flood,
        "four of a greeting are kept, and all that is only told has a bounded room; eight in vain, then hardly any",
    ),
    Attack(
        "slow-bodies",
        "1,200 submissions to the HTTP face, byte by byte",
        surroundings.slow_bodies,
        "256 connections, whoever dawdles gives way; a body has 10 s",
    ),
    Attack("garbage-status", "a hello that cannot be read", requests.garbage_status),
    Attack("impossible-status", "a status that contradicts itself", requests.impossible_status),
    Attack(
        "lying-statuses",
        "a crowd that claims longer chains",
        requests.lying_statuses,
        "a few are asked at a time for some headers, and then rest, longer each time",
    ),
    Attack(
        "slow-replies",
        "a claim, and replies that never end",
        requests.slow_replies,
        "others are asked after 1.5 s; it rests, longer each time, and then loses its place",
    ),
    Attack(
        "dripped-blocks",
        "a claim, and one true block every 8 s",
        requests.dripped_blocks,
        "slower than its line explains: others are asked; it rests, longer each time, and then loses its place",
    ),
    Attack("foreign-chain", "another network's valid chain for a reply", requests.foreign_chain),
    Attack(
        "other-heights",
        "good blocks of other heights for a reply",
        requests.other_heights,
        "nothing of it is taken; it rests, longer each time",
    ),
)
