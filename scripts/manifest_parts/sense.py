"""What contradicts itself: a manifest is walked through, slot by slot, before anybody runs it."""

from __future__ import annotations

from typing import Any

from chain.content.tables import FieldPath, Mistake
from scripts.manifest_parts.things import (
    Attack,
    Clock,
    Continue,
    Cut,
    Heal,
    Kill,
    Line,
    Lines,
    Load,
    LoseDisk,
    Manifest,
    Mute,
    NewLines,
    Recorded,
    Replace,
    Restart,
    Seats,
    Slots,
    Speaks,
    Start,
    Stop,
    Synced,
)

UP, DOWN, STOPPED = "up", "down", "stopped"
# Who has to be how, and is how afterwards.
_TURNS: dict[type[Any], tuple[tuple[str, ...], str]] = {
    Kill: ((UP, STOPPED), DOWN),
    Start: ((DOWN,), UP),
    Restart: ((UP,), UP),
    Stop: ((UP,), STOPPED),
    Continue: ((STOPPED,), UP),
    LoseDisk: ((DOWN,), DOWN),
}


def check_sense(manifest: Manifest) -> None:
    """Raises :class:`Mistake` for the first contradiction."""
    Walk(manifest).to_the_end()


class Walk:
    """How everything stands after the events so far, of a manifest whose events are in their order."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.states = {node.name: DOWN if node.late else UP for node in manifest.nodes}
        self.seats = [validator.name for validator in manifest.validators]
        self.cuts: dict[str, Cut] = {}
        self.load = 0
        self._healed: set[str] = set()
        self._busy_until: dict[str, int] = {}

    def to_the_end(self) -> None:
        """All of it."""
        manifest = self.manifest
        self._check_lines()
        if not manifest.asserts:
            raise Mistake((), 'asserts nothing; add an [[asserts]], for one with that = "agree"')
        if all(state == DOWN for state in self.states.values()):
            raise Mistake((), "begins with all nodes late; one has to be there")
        self._check_order()
        self._check_asserted_times()
        at = 0
        for slot in range(manifest.slots):
            while at < len(manifest.events) and manifest.events[at].at == slot:
                self.take(at)
                at += 1
            self._check_asserted(slot)

    def take(self, at: int) -> None:
        """The event with this number happens."""
        event, path = self.manifest.events[at], ("events", at)
        match event:
            case Kill() | Start() | Restart() | Stop() | Continue() | LoseDisk():
                self._turn(event.nodes, type(event), path)
            case Cut():
                self._cut(event, path)
            case Heal():
                self._heal(event, path)
            case NewLines():
                self._check_line(event, path)
            case Attack():
                self._attack(event, path)
            case Load():
                self.load = event.per_slot
            case Replace():
                self._replace(event, path)
            case Clock():
                pass

    def _check_order(self) -> None:
        before = 0
        for at, event in enumerate(self.manifest.events):
            if event.at < before:
                raise Mistake(("events", at, "at"), f"must not be before slot {before}, that of the event above it")
            if event.at >= self.manifest.slots:
                raise self._late(("events", at, "at"))
            before = event.at

    def _late(self, path: FieldPath) -> Mistake:
        return Mistake(path, f"must be before slot {self.manifest.slots}, with which the manifest ends")

    # ---------------------------------------------------------------------------------------------- events

    def _turn(self, nodes: tuple[str, ...], what: type[Any], path: FieldPath) -> None:
        wanted, then = _TURNS[what]
        for name in nodes:
            if self.states[name] not in wanted:
                raise Mistake((*path, "nodes"), f"cannot {what.word} {name}, which is {self.states[name]} then")
            self.states[name] = then

    def _cut(self, cut: Cut, path: FieldPath) -> None:
        if cut.name in self.cuts or cut.name in self._healed:
            raise Mistake((*path, "name"), f"is {cut.name!r}, as a cut before is called already")
        self._check_ends(cut, path)
        self.cuts[cut.name] = cut

    def _heal(self, heal: Heal, path: FieldPath) -> None:
        if heal.name not in self.cuts:
            there = ", ".join(self.cuts) or "nothing"
            raise Mistake((*path, "name"), f"is {heal.name!r}, which is not cut then; {there} is")
        del self.cuts[heal.name]
        self._healed.add(heal.name)

    def _attack(self, attack: Attack, path: FieldPath) -> None:
        ends = attack.at + attack.slots
        if ends > self.manifest.slots:
            raise Mistake((*path, "slots"), f"must end by slot {self.manifest.slots}, with which the manifest ends")
        for name in attack.strangers:
            if self._busy_until.get(name, 0) > attack.at:
                raise Mistake((*path, "strangers"), f"names {name}, who is busy until slot {self._busy_until[name]}")
            self._busy_until[name] = ends
            (who,) = (each for each in self.manifest.strangers if each.name == name)
            if all(self.states[target] == DOWN for target in who.targets or self.manifest.names):
                raise Mistake((*path, "strangers"), f"names {name}, all of whose targets are down then")

    def _replace(self, event: Replace, path: FieldPath) -> None:
        if event.leaving not in self.seats:
            raise Mistake((*path, "leaving"), f"is {event.leaving}, which has no seat then; {_some(self.seats)} have")
        if event.newcomer in self.seats:
            raise Mistake((*path, "newcomer"), f"is {event.newcomer}, which has a seat already")
        if self.states[event.newcomer] == DOWN:
            raise Mistake((*path, "newcomer"), f"is {event.newcomer}, which is down then, and would be waited for")
        if len(self.seats) < 2:
            raise Mistake((*path, "leaving"), "is the only validator: nobody else could approve")
        self.seats[self.seats.index(event.leaving)] = event.newcomer

    # ---------------------------------------------------------------------------------------------- links

    def _check_lines(self) -> None:
        _check_jitter(self.manifest.line, ("line",))
        for at, lines in enumerate(self.manifest.lines):
            self._check_line(lines, ("lines", at))

    def _check_line(self, lines: Lines, path: FieldPath) -> None:
        _check_jitter(lines, path)
        self._check_ends(lines, path)

    def _check_ends(self, thing: Lines | Cut, path: FieldPath) -> None:
        both = set(thing.nodes) & set(thing.others)
        if both:
            raise Mistake((*path, "others"), f"names {_some(sorted(both))}, at the other end already")
        if not self.manifest.others(thing):
            raise Mistake((*path, "nodes"), "names all nodes, so that nobody is left at the other end")

    # ------------------------------------------------------------------------------------------ assertions

    def _check_asserted_times(self) -> None:
        end = self.manifest.slots
        for at, each in enumerate(self.manifest.asserts):
            times = {name: getattr(each, name) for name in ("at", "since", "until") if hasattr(each, name)}
            for name, slot in times.items():
                if slot > end or (slot == end and name != "until"):
                    raise self._late(("asserts", at, name))
            if "since" in times and times["since"] >= times["until"]:
                raise Mistake(("asserts", at, "until"), f"must come after slot {times['since']}, where it begins")

    def _check_asserted(self, slot: int) -> None:
        for at, each in enumerate(self.manifest.asserts):
            match each:
                case Slots() | Recorded() if each.since <= slot < each.until and not self.load:
                    raise Mistake(("asserts", at, "since"), f"counts slot {slot}, in which there is no load")
                case Synced() | Mute() if each.at == slot:
                    self._check_up(each.nodes, ("asserts", at, "nodes"))
                case Speaks() if each.since == slot:
                    self._check_speaks(each, ("asserts", at, "nodes"))
                case Seats() if each.at == slot:
                    self._check_count(each.nodes, ("asserts", at, "nodes"))
                case _:
                    pass
            if isinstance(each, Mute) and each.at == slot:
                self._check_seated(each.nodes, ("asserts", at, "nodes"))

    def _check_count(self, nodes: tuple[str, ...], path: FieldPath) -> None:
        if len(nodes) != len(self.seats):
            raise Mistake(path, f"names {len(nodes)} validators, where there are {len(self.seats)}")

    def _check_up(self, nodes: tuple[str, ...], path: FieldPath) -> None:
        for name in nodes:
            if self.states[name] != UP:
                raise Mistake(path, f"names {name}, which is {self.states[name]} then and cannot answer")

    def _check_seated(self, nodes: tuple[str, ...], path: FieldPath) -> None:
        for name in nodes:
            if name not in self.seats:
                raise Mistake(path, f"names {name}, which is not a validator then")

    def _check_speaks(self, speaks: Speaks, path: FieldPath) -> None:
        """Somebody without a seat at the beginning may still get one."""
        coming = {event.newcomer for event in self.manifest.events if isinstance(event, Replace)}
        for name in speaks.nodes:
            if name not in self.seats and name not in coming:
                raise Mistake(path, f"names {name}, which never has a seat")


def _check_jitter(line: Line, path: FieldPath) -> None:
    if line.jitter_ms > line.latency_ms:
        raise Mistake((*path, "jitter_ms"), f"must be at most the latency, which is {line.latency_ms} ms")


def _some(names: list[str]) -> str:
    return " and ".join(names) or "nobody"
