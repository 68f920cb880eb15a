"""The prompt: turns typed lines into forms and commands, and shows their values.

It survives any mistake, the user's, the program's and its own.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory, DummyAutoSuggest
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.cursor_shapes import ModalCursorShapeConfig
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.layout.processors import HighlightMatchingBracketProcessor
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from .. import __version__
from ..commands import note
from ..errors import NablispError, draw, visible
from ..figure import Figure, Movie
from ..highlight import NablispLexer
from ..process import check
from ..showing import show_picture
from ..shown import painted, wants_color
from ..values import Value
from .beside import beside
from .commands import is_command, run_command
from .complete import suggestions
from .keys import bindings
from .numbered import Numbered
from .pasted import MORE, PROMPT, unprompted
from .pressed import pressed, typed
from .settings import Choice, read_settings, settings_file, user_folder
from .signature import cut, signature
from .unmasked import Unmasked
from .wrapped import wrapped

STYLE = Style.from_dict(
    {
        "prompt": "bold",
        "rprompt": "#808080",
        "bottom-toolbar": "noreverse",
        "bottom-toolbar.text": "noreverse",
        "signature": "noreverse bold",
        "auto-suggestion": "#808080",
        "matching-bracket.cursor": "bold underline",
        "matching-bracket.other": "bold underline",
        "pygments.keyword": "bold",
        "pygments.name.builtin": "ansicyan",
        "pygments.name.attribute": "ansimagenta",
        "pygments.literal.string": "ansigreen",
        "pygments.comment": "italic",
    }
)
"""Colours that can be read on light and on dark."""

FAILURES = 3
"""So many mistakes of the prompt's own, one after the other, end it."""


def prompt(session: Any, *, color: str = "auto", files: Iterable[str] = ()) -> None:
    """Read, evaluate and print until end of input. `files` were run in the session before."""
    shell = Prompt(session, color)
    for file in files:
        shell.loaded = Loaded(Path(file).name, shell.declared())
    print(f"nablisp {__version__}   (help) lists what there is, Ctrl-D leaves")
    while True:
        try:
            shell.converse()
            return
        except KeyboardInterrupt:  # pressed once more, while the first was answered
            check()


class Loaded:
    """A script that was run, and the names that it declared."""

    def __init__(self, name: str, names: set[str]) -> None:
        self.name, self.names = name, names


class Prompt:
    """One conversation: a session, the settings, the values shown, the script loaded last."""

    def __init__(self, session: Any, color: str = "auto") -> None:
        self.session = session
        self.values = Numbered()
        session.results = self.values
        session.undoes = True
        self.loaded: Loaded | None = None
        self.settings_file = settings_file()
        self.settings, problems = read_settings(self.settings_file)
        for problem in problems:
            note(problem)
        self.color = color
        self.entered = 0
        self.typed = self._typed()
        for name in self.settings:
            self._apply(name)

    # ---- the loop --------------------------------------------------------------------------------

    def converse(self) -> None:
        """Entry by entry, until end of input, or until no entry can be typed any more."""
        failures = 0
        while failures < FAILURES:
            check()
            try:
                text = typed(self.typed)
                if pressed(self.typed.input):
                    raise KeyboardInterrupt
            except EOFError:
                return
            except KeyboardInterrupt:  # it drops the line
                check()
                continue
            except OSError:  # the terminal is gone
                raise
            except Exception as error:
                self._own_mistake(error)
                failures += 1
                continue
            failures = 0
            if not self.entry(unprompted(text)):
                return

    def entry(self, text: str) -> bool:
        """Run what was typed; is there more to come?"""
        try:
            if re.fullmatch(r"\(?\s*(exit|quit)\s*\)?", text.strip()):
                return False
            if is_command(text):
                run_command(self, text.strip())
            elif text.strip():
                self.evaluate(text)
        except EOFError:
            return False
        except KeyboardInterrupt:
            check()
            print("interrupted", file=sys.stderr)
        except NablispError as error:
            self._fail(error)
        except MemoryError:  # where the session did not say so itself
            self._fail(NablispError("limit", "this needs more memory than there is"))
        except BrokenPipeError:
            raise
        except Exception as error:
            self._own_mistake(error)
        return True

    def evaluate(self, text: str) -> None:
        """Run forms and show their values, up to the first mistake or a run that is stopped."""
        self.entered += 1
        for _, value in self.session.values(text, name=f"<{self.entered}>"):
            if value is None:
                continue
            self.values.add(value)
            self._show_value(value)

    def _show_value(self, value: Value) -> None:
        """A value; with a formula, what it comes to here; of a picture, the picture."""
        if isinstance(value, Figure | Movie):
            show_picture(value, sys.stdout, self._colored(sys.stdout))
            return
        shown = visible(self.session.text(value))
        now = beside(self.session, value) if self.settings["values"] else ""
        print(f"{shown}  ; {visible(now)}" if now else shown, flush=True)

    def say(self, text: str) -> None:
        """What a command has to tell."""
        print(wrapped(visible(text), self.typed.output.get_size().columns), flush=True)

    def _fail(self, error: NablispError) -> None:
        drawn = draw(error)
        print(painted(drawn) if self._colored(sys.stderr) else drawn, file=sys.stderr)

    def _own_mistake(self, error: Exception) -> None:
        """One line about an error that should not be, and where its traceback is."""
        where = _kept("bug.txt", "".join(traceback.format_exception(error)))
        what = visible(f"{type(error).__name__}: {error}").replace("\n", " ")[:200]
        print(f"error: this is a bug of nablisp: {what}", file=sys.stderr)
        report = visible(f"; what to report is in {where}", "") if where else ""
        print(f"  the session goes on{report}", file=sys.stderr)

    # ---- what commands do ------------------------------------------------------------------------

    def declared(self) -> set[str]:
        """All names that the session holds."""
        session = self.session
        return {*session.definitions, *session.parameters, *session.columns}

    def forget(self, names: Iterable[str]) -> None:
        """Free those names that are held."""
        for name in self.declared().intersection(names):
            self.session.forget(name, None)

    def load(self, name: str, *, again: bool = False) -> None:
        """Run a script, and say what it declared; again: in place of what it declared before."""
        from ..printer import string

        if again and self.loaded is not None:
            self.forget(self.loaded.names)
        before = self.declared()
        self.loaded = Loaded(name, set())
        try:
            self.session.run(f"(load {string(name)})", name=",load")
        finally:
            self.loaded.names = self.declared() - before
        self.say(f"; {name}: {' '.join(sorted(self.loaded.names)) or 'nothing new'}")

    def choose(self, name: str, choice: Choice) -> None:
        """Change a setting."""
        self.settings[name] = choice
        self._apply(name)

    # ---- the terminal ----------------------------------------------------------------------------

    def _typed(self) -> PromptSession[str]:
        """prompt_toolkit's session, with the tables behind it."""
        return PromptSession(
            message=[("class:prompt", PROMPT)],
            rprompt=lambda: self.values.following,
            bottom_toolbar=self._bottom,
            prompt_continuation=lambda width, line, wrapped: MORE.rjust(width),
            multiline=True,
            lexer=PygmentsLexer(NablispLexer),
            input_processors=[HighlightMatchingBracketProcessor(chars="()[]"), Unmasked()],
            completer=TableCompleter(self.session),
            history=_history(),
            key_bindings=bindings(),
            style=STYLE,
            include_default_pygments_style=False,
            enable_open_in_editor=True,
            enable_suspend=True,
            tempfile_suffix=".gd",
        )

    def _apply(self, name: str) -> None:
        """Let a setting be seen."""
        typed, choice = self.typed, self.settings[name]
        match name:
            case "keys":
                typed.editing_mode = EditingMode.VI if choice == "vi" else EditingMode.EMACS
                typed.cursor = ModalCursorShapeConfig() if choice == "vi" else None
            case "suggest":
                typed.auto_suggest = AutoSuggestFromHistory() if choice else DummyAutoSuggest()
            case "menu":
                typed.complete_while_typing = bool(choice)
                typed.enable_history_search = not choice
            case "color":
                depth = None if self._colored(sys.stdout) else ColorDepth.DEPTH_1_BIT
                typed.color_depth = depth

    def _colored(self, stream: Any) -> bool:
        """Does a stream get colour? The command line is asked first, then the settings."""
        choice = self.color if self.color != "auto" else str(self.settings["color"])
        return wants_color(choice, stream)

    def _bottom(self) -> StyleAndTextTuples:
        """Signature and doc of the innermost open form."""
        try:
            app = get_app()
            before = app.current_buffer.document.text_before_cursor
            width = app.output.get_size().columns
            first, doc = cut(*signature(before, self.session), width)
        except Exception:  # a line of help is not worth a crash
            return []
        return [("class:signature", first), ("", f"  {doc}")]


class TableCompleter(Completer):
    """`suggestions` for prompt_toolkit."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        try:
            found = suggestions(document.text_before_cursor, self.session)
        except Exception:  # no completion is better than no prompt
            return
        for one in found:
            meta = f"{one.kind}  {one.doc}" if one.doc else one.kind
            shown, said = visible(one.text, ""), visible(meta, "")
            yield Completion(one.text, -one.length, display=shown, display_meta=said)


# ---- files ---------------------------------------------------------------------------------------


class KeptHistory(FileHistory):
    """Entries in a file; where it cannot be read or written, in memory."""

    def load_history_strings(self) -> Iterable[str]:
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        try:
            super().store_string(string)
        except OSError:
            return


def _history() -> History:
    """Where typed lines are kept."""
    folder = _state_folder()
    return KeptHistory(folder / "history") if folder else InMemoryHistory()


def _state_folder() -> Path | None:
    """The folder for what the prompt remembers, or None where there can be none."""
    folder = user_folder("XDG_STATE_HOME", ".local", "state")
    try:
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def _kept(name: str, text: str) -> Path | None:
    """A text in a file of the state folder, if it can be written."""
    folder = _state_folder()
    try:
        if folder:
            (folder / name).write_text(text, "utf-8", errors="backslashreplace")
    except OSError:
        return None
    return folder and folder / name
