"""The prompt's commands: turns a line like `,load line.gd` into what it does to the session."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import NablispError, no_such
from ..help import help_text, names_of, search
from ..printer import string
from .settings import SETTINGS, chosen, shown, write_setting

if TYPE_CHECKING:
    from . import Prompt

Takes = Literal["", "file", "setting", "name", "form"]


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it takes decides what completes, `run` gets the rest of its line."""

    name: str
    signature: str
    doc: str
    takes: Takes
    run: Callable[[Prompt, str], None]


COMMANDS: dict[str, Command] = {}


def _command(
    signature: str, doc: str, takes: Takes = ""
) -> Callable[[Callable[[Prompt, str], None]], None]:
    """Enter a function as a row of COMMANDS, under the first word of its signature."""

    def enter(function: Callable[[Prompt, str], None]) -> None:
        name = signature.split(maxsplit=1)[0].removeprefix(",")
        COMMANDS[name] = Command(name, signature, doc, takes, function)

    return enter


def is_command(text: str) -> bool:
    """Is it a line for the prompt itself, not for the language?"""
    return text.lstrip().startswith((",", "?"))


def run_command(prompt: Prompt, line: str) -> None:
    """What a line does that begins with a comma or a question mark; NablispError of all kinds."""
    if line.startswith("?"):
        name = line.lstrip("?").strip()
        prompt.say(search(prompt.session, name) if line.startswith("??") else page(prompt, name))
        return
    name, _, rest = line[1:].strip().partition(" ")
    row = COMMANDS.get(name)
    if row is None:
        raise no_such("command", name, COMMANDS, "unbound-name", mark=",")
    rest = rest.strip()
    if row.takes == "" and rest not in ("", "all"):
        raise NablispError("arity", f",{name} takes nothing", hint=f"{row.signature}  {row.doc}")
    row.run(prompt, rest)


def page(prompt: Prompt, name: str) -> str:
    """The help of a name: as in the language, and as a command or a setting of the prompt."""
    rows = [COMMANDS.get(name.removeprefix(",")), SETTINGS.get(name)]
    own = [f"{row.signature}\n  {row.doc}" for row in rows if row is not None]
    if name == "":
        own = [_overview()]
    if own and name not in names_of(prompt.session):
        return "\n".join(own)
    return "\n".join((help_text(prompt.session, name), *own))


def _overview() -> str:
    width = max(len(row.signature) for row in COMMANDS.values())
    rows = [f"{row.signature:{width}}  {row.doc}" for row in COMMANDS.values()]
    rows += [f"{key:{width}}  {doc}" for key, doc in KEYS.items()]
    return "\n".join((*rows, "(help) lists the language"))


KEYS = {
    "?name  ??word": "explain a name, search for a word",
    "_ __ _3": "the last value shown, the one before, number 3",
    "Enter": "run when the brackets balance, else a new line",
    "Alt-Enter": "always a new line",
    "Tab": "complete; \\nabla and \\alpha become the sign",
    "Up  Ctrl-R": "entries that begin like this one; search them",
    "Ctrl-X Ctrl-E": "edit in $EDITOR",
    "Ctrl-C  Ctrl-D": "clear the line or stop a run; leave",
}
"""What the keys do, for the overview."""


# ---- files ---------------------------------------------------------------------------------------


@_command(",load FILE", "run a script in this session", "file")
def _load(prompt: Prompt, rest: str) -> None:
    prompt.load(_file(rest, "load"))


@_command(",reload", "run the script loaded last once more, in place of what it declared")
def _reload(prompt: Prompt, rest: str) -> None:
    if prompt.loaded is None:
        raise NablispError("file", "nothing was loaded yet", hint=",load FILE runs a script")
    prompt.load(prompt.loaded.name, again=True)


@_command(",save FILE", "write the session as a script that runs again", "file")
def _save(prompt: Prompt, rest: str) -> None:
    name = _file(rest, "save")
    prompt.session.run(f"(save {string(name)})", name=",save")
    prompt.say(f"saved in {name}")


def _file(rest: str, command: str) -> str:
    name = rest.strip('"')
    if not name:
        row = COMMANDS[command]
        raise NablispError("arity", f",{command} wants a file", hint=f"{row.signature}  {row.doc}")
    return name


# ---- the session ---------------------------------------------------------------------------------


@_command(",reset [all]", "parameters back to their starts; with all, forget all that was declared")
def _reset(prompt: Prompt, rest: str) -> None:
    if rest == "all":
        prompt.forget(prompt.declared())
        prompt.say("all is forgotten")
    else:
        prompt.session.run("(reset)", name=",reset")
        prompt.session.run("(env)", name=",reset")


@_command(",env", "what is declared, with shapes and values")
def _env(prompt: Prompt, rest: str) -> None:
    if not prompt.declared():
        prompt.say("nothing is declared yet")
    prompt.session.run("(env)", name=",env")


@_command(",time FORM", "run it; seconds taken, and for runs the backend and its speed", "form")
def _time(prompt: Prompt, rest: str) -> None:
    session = prompt.session
    before, explain = time.perf_counter(), session.explain
    session.explain = max(explain, 1)
    try:
        prompt.evaluate(rest)
    finally:
        session.explain = explain
    prompt.say(f"; {time.perf_counter() - before:.3g} s")


@_command(",set [NAME VALUE]", "list the settings, or keep one, for later sessions too", "setting")
def _set(prompt: Prompt, rest: str) -> None:
    match rest.split():
        case []:
            width = max(len(row.signature) for row in SETTINGS.values())
            for row in SETTINGS.values():
                now = shown(prompt.settings[row.name])
                prompt.say(f"{row.signature:{width}}  now {now:6}  {row.doc}")
            prompt.say(f"; kept in {prompt.settings_file}")
        case [name]:
            chosen(name, "")
        case [name, word]:
            prompt.choose(name, chosen(name, word))
            if prompt.settings_file is not None:
                try:
                    write_setting(prompt.settings_file, name, prompt.settings[name])
                except (OSError, ValueError) as error:
                    raise NablispError(
                        "file", f"{name} is set, but could not be kept: {error}"
                    ) from None
        case _:
            raise NablispError("arity", ",set takes a name and a value", hint=",set keys vi")


@_command(",help [NAME]", "the commands and keys, or what a name is and does", "name")
def _help(prompt: Prompt, rest: str) -> None:
    prompt.say(page(prompt, rest))


@_command(",quit", "leave, as Ctrl-D does")
def _quit(prompt: Prompt, rest: str) -> None:
    raise EOFError
