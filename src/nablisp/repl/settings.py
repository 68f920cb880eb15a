"""The prompt's settings: turns a commented TOML file in the user's folder into values, and back."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import NablispError, meant

Choice = str | bool


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing to choose: its name, what it does, and what it may be, the default first."""

    name: str
    doc: str
    choices: tuple[Choice, ...]

    @property
    def signature(self) -> str:
        """How it is set: `,set keys emacs|vi`."""
        return f",set {self.name} {'|'.join(map(shown, self.choices))}"


SETTINGS = {
    row.name: row
    for row in (
        Setting("keys", "which editor's keys the prompt has", ("emacs", "vi")),
        Setting("color", "colours; --color on the command line wins", ("auto", "always", "never")),
        Setting("suggest", "the rest of a line like one typed before, in grey", (True, False)),
        Setting("menu", "completions while typing; Up then walks all entries", (False, True)),
        Setting("values", "the value of a formula beside it, where it has one", (True, False)),
    )
}  # fmt: skip


def shown(choice: object) -> str:
    """A choice as it is typed."""
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def _toml(choice: Choice) -> str:
    """A choice as the file has it."""
    return shown(choice) if isinstance(choice, bool) else f'"{choice}"'


def chosen(name: str, word: str) -> Choice:
    """The choice that a word means; NablispError "value" or "unbound-name"."""
    if name not in SETTINGS:
        raise NablispError(
            "unbound-name",
            f"there is no setting called {name}",
            hint=meant(name, SETTINGS, f"there are {', '.join(SETTINGS)}"),
        )
    row = SETTINGS[name]
    for choice in row.choices:
        if shown(choice) == word:
            return choice
    raise NablispError(
        "value",
        f"{name} is {' or '.join(map(shown, row.choices))}{f', not {word}' if word else ''}",
        hint=f"{row.signature}  {row.doc}",
    )


def user_folder(variable: str, *usual: str) -> Path | None:
    """nablisp's folder of a sort, as XDG has them: under the variable, else under the home."""
    try:
        base = Path(os.environ.get(variable) or Path.home().joinpath(*usual))
    except RuntimeError:  # nobody's home
        return None
    return base / "nablisp"


def settings_file() -> Path | None:
    """Where the settings are kept."""
    folder = user_folder("XDG_CONFIG_HOME", ".config")
    return folder and folder / "config.toml"


def read_settings(path: Path | None) -> tuple[dict[str, Choice], list[str]]:
    """The settings, defaults where the file says nothing sound; and what is wrong with it."""
    values = {row.name: row.choices[0] for row in SETTINGS.values()}
    problems: list[str] = []
    for name, value in _entries(path, problems).items():
        try:
            values[name] = chosen(
                name, shown(value) if isinstance(value, bool | str) else f"{value}"
            )
        except NablispError as error:
            problems.append(f"{path}: {error.message}; {error.hint}")
    return values, problems


def _entries(path: Path | None, problems: list[str]) -> Mapping[str, object]:
    """What the file says, by name."""
    try:
        text = path.read_text("utf-8-sig") if path else ""
        if not text:
            return {}
        import tomllib

        return tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # of its syntax, or of UTF-8
        problems.append(f"{path} cannot be read: {error}; the settings are their defaults")
        return {}


def write_setting(path: Path, name: str, choice: Choice) -> None:
    """Keep one setting; the rest of the file stays as its owner wrote it. Raises OSError."""
    text = path.read_text("utf-8-sig") if path.exists() else _template()
    line = f"{name} = {_toml(choice)}"
    changed, count = re.subn(rf"(?m)^[ \t]*#?[ \t]*{name}[ \t]*=.*$", line, text, count=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(changed if count else f"{line}\n{text}", "utf-8")


def _template() -> str:
    """Every setting in a comment, at its default."""
    lines = ["# Settings of nablisp's prompt; `,set` there lists and changes them.\n"]
    for row in SETTINGS.values():
        value, *others = map(_toml, row.choices)
        lines.append(f"\n# {row.doc}; or {', '.join(others)}\n# {row.name} = {value}\n")
    return "".join(lines)
