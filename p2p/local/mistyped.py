"""A command line that cannot be read, in one sentence that says what to type: what click finds, in our words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import click
from click.core import ParameterSource

# A mistake about a value begins with it, quoted unless it is a number; a path has its kind before it.
_VALUE = re.compile(r"(?:\w+ )?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|-?[\d.]+) (.*?)\.?", re.DOTALL)
# Of what is more than a command takes, so many characters are said again.
MOST_ECHOED = 60
_EXTRA = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


def told(mistake: click.UsageError, program: str) -> str:
    """The sentence.  ``program`` is how whoever mistyped it calls the command."""
    listed = f"`{program} -h`"
    match mistake:
        case click.NoSuchOption(option_name=name, possibilities=near):
            return f"there is no option {name}; {_instead(near) or f'{listed} lists those there are'}"
        case click.exceptions.NoSuchCommand(command_name=name, possibilities=near):
            return f"there is no command {name}; {_instead(near) or f'{listed} lists those there are'}"
        case click.MissingParameter(param=click.Parameter() as param):
            return f"{_name(param)} is missing; give {_kind(param.type) or 'it'}, as {listed} shows"
        case click.BadParameter(param=click.Parameter() as param):
            return _refused(mistake, param)
        case click.BadOptionUsage(option_name=name) if "does not take" in mistake.message:
            return f"{name} takes no value; leave out what follows it"
        case click.BadOptionUsage(option_name=name):
            return f"{name} needs a value after it; -h in its place says which"
    if extra := _EXTRA.fullmatch(mistake.message):
        echoed = shorten(extra[1], MOST_ECHOED, placeholder=" …")
        return f"{echoed!r} is more than this command takes; {listed} shows what that is"
    return f"{mistake.format_message().rstrip('.')}; see {listed}"


def _instead(near: Sequence[str] | None) -> str:
    return f"did you mean {near[0]}?" if near else ""


def _refused(mistake: click.BadParameter, param: click.Parameter) -> str:
    """What is wrong with a value, and what would be right."""
    name, kind = _name(param), _kind(param.type)
    if mistake.ctx and mistake.ctx.get_parameter_source(param.name or "") is ParameterSource.ENVIRONMENT:
        name = str(param.envvar)
    value = _VALUE.fullmatch(mistake.message)
    if not kind or value is None:  # a type of ours, which says it well
        return f"{name}: {mistake.message.rstrip('.')}"
    if isinstance(param.type, click.Path):
        return f"{value[1]} {value[2].replace('directory', 'folder')}; {name} takes {kind}"
    return f"{name} takes {kind}, not {value[1]}"


def _name(param: click.Parameter) -> str:
    return max(param.opts, key=len) if isinstance(param, click.Option) else param.human_readable_name


def _kind(type: click.ParamType[Any]) -> str:
    """What a type of click's takes, in words; nothing for types of ours and for plain texts."""
    match type:
        case click.Choice(choices=choices):
            *most, last = map(str, choices)
            return f"{', '.join(most)} or {last}" if most else last
        case click.types.IntParamType():
            return "a whole number" + _range(type)
        case click.types.FloatParamType():
            return "a number" + _range(type)
        case click.Path(file_okay=files, dir_okay=folders, exists=exists):
            return ("a path" if files and folders else "a file" if files else "a folder") + " that is there" * exists
    return ""


def _range(type: click.ParamType[Any]) -> str:
    if not isinstance(type, click.IntRange | click.FloatRange):
        return ""
    low, high = type.min, type.max
    if low is None:
        return "" if high is None else f", {high:,} or less"
    if high is None:
        return f" above {low:,}" if type.min_open else f", {low:,} or more"
    return f" above {low:,}, up to {high:,}" if type.min_open else f" from {low:,} to {high:,}"
