"""What a reader needs to go on with the municipal story: key files, and the next commands to copy."""

from __future__ import annotations

from p2p.local.commandline import pasted

from pathlib import Path

from chain.base.keys import did_from_key
from chain.content.genesis import Genesis
from chain.content.proposals import ARBITER
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.register.entries import Member
from chain.register.statekeys import member_key
from p2p.local.keyfile import write_key
from scripts.municipal.cast import Cast, Player

FOLDER = "play"
CATEGORY = "traffic ticket"
_NOTE = "What happened, in the words of whoever wrote this.  Only the digest of it goes on the chain.\n"


def set_stage(home: Path, node: Path, genesis: Genesis, cast: Cast) -> list[str]:
    """Write the key files, and say what to type: a record, an objection, an answer, a ruling."""
    folder = home / FOLDER
    folder.mkdir(exist_ok=True)
    member = _unrecorded(node, genesis, cast)
    arbiters = [each.player for each in cast.institutions if each.rights & ARBITER]
    players = {"member": member, "office": cast.market}
    players |= {"arbiter" if len(arbiters) == 1 else f"arbiter{at}": who for at, who in enumerate(arbiters, 1)}
    for name, player in players.items():
        path = folder / f"{name}.key"
        path.unlink(missing_ok=True)  # it may be another member by now
        write_key(path, player.secret.seed)
    (folder / "note.txt").write_text(_NOTE, encoding="utf-8")
    return _commands(folder, node, member, len(arbiters))


def _unrecorded(node: Path, genesis: Genesis, cast: Cast) -> Player:
    """The last member about whom nothing was ever recorded, so that its first record has number 0."""
    reader = Reader(node / DATABASE, genesis)
    try:
        with reader.consistent():
            view = reader.view()
            for player in reversed(cast.members):
                member = view.get(member_key(player.key))
                if isinstance(member, Member) and not member.filed and member.key == player.key:
                    return player
    finally:
        reader.close()
    return cast.members[-1]


def _commands(folder: Path, node: Path, member: Player, arbiters: int) -> list[str]:
    did, note = did_from_key(member.key), pasted(folder / "note.txt")

    def by(name: str, words: str) -> str:
        key = pasted(folder / f"{name}.key")
        return f"python scripts/registry.py {words} --home {pasted(node)} --key {key}"

    drawn = "arbiter" if arbiters == 1 else "arbiter1"
    return [
        f"the story is yours now; {member.name} is {did}, and this can come next, as far as the rules allow it",
        "the market office records, the points count:",
        by("office", f'record {did} --category "{CATEGORY}" --established now --evidence {note}'),
        f"{member.name} objects, and the points are suspended until the office has answered:",
        by("member", f"object 0 --grounds {note}"),
        f"what {member.name}'s standing is made of, as the home has it a few blocks later:",
        f"python scripts/inspect_chain.py member {did} --explain --home {pasted(node)}",
        "the office maintains its record, and both sides are heard:",
        by("office", f"answer maintain {did} 0 --reason {note}"),
        "after the hearing a lot is drawn; this says on whom it fell, and until when it rules:",
        f"python scripts/registry.py records {did} --home {pasted(node)}",
        "that arbiter rules" + (":" if arbiters == 1 else f", with the key of its number, 1 to {arbiters}:"),
        by(drawn, f"rule strike {did} 0 --reason {note}"),
        f"where it says `rule uphold` instead, {member.name} may appeal once, and three others rule in the same way:",
        by("member", f"appeal 0 --grounds {note}"),
    ]
