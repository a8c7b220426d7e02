"""What can be broken in a module, one place at a time.

Imports nothing of the project, so that a worker can break what it has not yet imported.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import CodeType
from typing import NamedTuple

_SHOWN_CHARS = 80

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_CHECKS = ("check", "require", "refuse")

# What these hold is for type checkers, for the interpreter, or for people.
_SILENT_FIELDS = {"annotation", "returns", "decorator_list", "pattern", "targets", "target", "bases", "type_params"}
_SILENT_KEYWORDS = {"strict", "slots", "frozen", "kw_only", "repr", "default_factory"}
_TEXT_CALLS = {"InvariantBroken", "OperatorError", "ValueError", "TypeError", "IndexError", "TypeVar", "NewType"}
_BODIES = {"body", "orelse", "handlers", "finalbody", "cases"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One break: ``before`` became ``after`` in ``function`` ("" outside of all), at ``line``.

    ``first`` and ``last`` are the lines of its statement, or of the head of a compound one: whoever executes the
    break executes one of them.  ``key`` names it for as long as neither the function's name nor the text changes.
    """

    path: Path
    number: int
    function: str
    line: int
    first: int
    last: int
    before: str
    after: str
    key: str


class _Place(NamedTuple):
    """Where a node hangs in the tree."""

    parent: ast.AST
    field: str
    at: int | None

    def put(self, node: ast.AST) -> None:
        if self.at is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.at] = node


class _Edit(NamedTuple):
    """What stands instead of the last of ``path``, the nodes from a statement (or a case) down to it."""

    place: _Place
    path: tuple[ast.AST, ...]
    new: ast.AST
    function: str


def mutants(path: Path) -> list[Mutant]:
    """All mutants of a module, in the order of its text."""
    made: list[Mutant] = []
    seen: Counter[str] = Counter()
    for number, edit in enumerate(_edits(ast.parse(path.read_bytes()))):
        old, shown = edit.path[-1], _shown(edit.path)
        before = _text(shown)
        edit.place.put(edit.new)
        after = _text(edit.new if shown is old else shown)
        edit.place.put(old)
        first, last = _span(edit.path[0])
        key = f"{path.stem}.{edit.function or '(module)'}: {before} -> {after}"
        seen[key] += 1
        key += f" ({seen[key]})" if seen[key] > 1 else ""
        made.append(Mutant(path, number, edit.function, getattr(old, "lineno", first), first, last, before, after, key))
    return made


def choose(found: Sequence[Mutant], sample: int | None, seed: int) -> list[Mutant]:
    """A sample in the order of the text.  What is in it changes as little as possible when the module does."""

    def lot(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed} {mutant.key}".encode()).digest()

    drawn = {mutant.key for mutant in sorted(found, key=lot)[:sample]}
    return [mutant for mutant in found if mutant.key in drawn]


def broken(path: Path, number: int) -> CodeType:
    """The code of a module with its ``number``-th mutant in it."""
    tree = ast.parse(path.read_bytes())
    edit = next(islice(_edits(tree), number, None))
    edit.place.put(ast.copy_location(edit.new, edit.path[-1]))
    code: CodeType = compile(ast.fix_missing_locations(tree), str(path), "exec")
    return code


def _edits(tree: ast.Module) -> Iterator[_Edit]:
    for place, child in _children(tree):
        yield from _visit(child, place, (), "")


def _visit(node: ast.AST, place: _Place, above: tuple[ast.AST, ...], function: str) -> Iterator[_Edit]:
    path = (node,) if isinstance(node, ast.stmt | ast.match_case | ast.ExceptHandler) else (*above, node)
    for new in _breaks(node, place):
        yield _Edit(place, path, new, function)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        inner = f"{function}.{node.name}" if function else node.name
    else:
        inner = function
    for below, child in _children(node):
        yield from _visit(child, below, path, inner if below.field == "body" else function)


def _children(node: ast.AST) -> Iterator[tuple[_Place, ast.AST]]:
    """What is below a node and counts: no annotation, decorator, pattern, docstring or text for people."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Expr(value=ast.Constant()) | ast.JoinedStr():
            return
        case ast.Assign(targets=[ast.Name(id=name)]) if name.startswith("__"):
            return
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return
        case ast.Call(func=called) if _name(called) in _TEXT_CALLS:
            return
    for field, value in ast.iter_fields(node):
        if field in _SILENT_FIELDS:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _is_silent(node, field, index, child):
                yield _Place(node, field, index), child


def _is_silent(node: ast.AST, field: str, index: int | None, child: ast.AST) -> bool:
    match node, child:
        case _, ast.keyword(arg=name):
            return name in _SILENT_KEYWORDS
        case ast.Call(func=ast.Name(id="isinstance" | "Refused")), _:
            return field == "args" and index == 1  # types, and the sentence for people
    return False


def _breaks(node: ast.AST, place: _Place) -> Iterator[ast.AST]:
    """What could stand instead of a node."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for at, op in enumerate(ops):
                yield ast.Compare(left, [*ops[:at], _COMPARISONS[type(op)](), *ops[at + 1 :]], comparators)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
            if value > 0:
                yield ast.Constant(value - 1)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.UnaryOp(op=ast.USub(), operand=operand) if not isinstance(operand, ast.Constant):
            yield operand
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC and not _is_text(left, right):
            yield ast.BinOp(left, _ARITHMETIC[type(op)](), right)
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in _ARITHMETIC:
            yield ast.AugAssign(target, _ARITHMETIC[type(op)](), value)
        case ast.Name(id="min" | "max" as name) if place.field == "func":
            yield ast.Name("max" if name == "min" else "min", ast.Load())
        case ast.Raise() if not _is_guarded(place) and not _is_our_bug(node):
            yield ast.Pass()
        case ast.Expr(value=ast.Call(func=called)) if _name(called).lstrip("_").startswith(_CHECKS):
            yield ast.Pass()
        case ast.Name() | ast.Attribute() | ast.Call() | ast.Subscript() if place.field in ("test", "ifs", "values"):
            if isinstance(place.parent, ast.If | ast.While | ast.IfExp | ast.comprehension | ast.BoolOp):
                yield ast.UnaryOp(ast.Not(), node)
    if _guards(place.parent) and place.field == "test":
        yield ast.Constant(False)


def _guards(node: ast.AST) -> bool:
    """Whether an ``if`` does nothing but refuse."""
    match node:
        case ast.If(body=[ast.Raise() as refusal], orelse=[]):
            return not _is_our_bug(refusal)
    return False


def _is_guarded(place: _Place) -> bool:
    return place.field == "body" and _guards(place.parent)


def _is_our_bug(node: ast.Raise) -> bool:
    """Whether only a bug of ours raises it: then nothing from outside can show that it is gone."""
    return node.exc is None or _name(node.exc) == "InvariantBroken"


def _is_text(*operands: ast.AST) -> bool:
    """Whether something other than numbers is added, which cannot be subtracted."""
    return any(
        isinstance(one, ast.Tuple | ast.List | ast.JoinedStr)
        or (isinstance(one, ast.Constant) and isinstance(one.value, str | bytes))
        or (isinstance(one, ast.Name) and one.id[:1].isupper() and not one.id.isupper())  # a union of types
        for one in operands
    )


def _name(node: ast.AST) -> str:
    match node:
        case ast.Call(func=called):
            return _name(called)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _span(node: ast.AST) -> tuple[int, int]:
    """The lines of a statement, or of the head of a compound one."""
    parts = [child for place, child in _children(node) if place.field not in _BODIES]
    ends = [end for child in parts for end in _ends(child)]
    if not hasattr(node, "body") and hasattr(node, "lineno"):
        ends += _ends(node)
    return (min(ends), max(ends)) if ends else (node.lineno, node.lineno)  # type: ignore[attr-defined]


def _ends(node: ast.AST) -> list[int]:
    return [
        line
        for part in ast.walk(node)
        for line in (getattr(part, "lineno", None), getattr(part, "end_lineno", None))
        if line
    ]


def _shown(path: tuple[ast.AST, ...]) -> ast.AST:
    """The largest part around a break that fits a line."""
    shown = path[-1]
    for node in reversed(path):
        if isinstance(node, ast.arguments | ast.match_case | ast.ExceptHandler) or _is_compound(node):
            break
        if len(_text(node)) <= _SHOWN_CHARS:
            shown = node
    return shown


def _is_compound(node: ast.AST) -> bool:
    return isinstance(node, ast.stmt) and hasattr(node, "body")


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())
