"""Ctrl-C at the prompt: what came as a signal ends the typing, what came as a key the entry.

While an entry is typed the terminal hands Ctrl-C on as a key. So it does for a moment after Enter;
what is pressed then lies with what was typed ahead, and is meant for what runs.
"""

from __future__ import annotations

from select import select

from prompt_toolkit import PromptSession
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from ..process import PROCESS, whole


@whole
def typed(session: PromptSession[str]) -> str:
    """The next entry; KeyboardInterrupt where a signal or Ctrl-C ends the typing."""
    app = session.app

    def leave() -> None:
        if app.is_running and not app.is_done:
            app.exit(exception=KeyboardInterrupt())

    def wake() -> None:
        if app.is_running and app.loop is not None:
            app.loop.call_soon_threadsafe(leave)

    PROCESS.wake = wake
    try:
        return session.prompt(handle_sigint=False)
    except KeyboardInterrupt:
        PROCESS.waits = False
        raise
    finally:
        PROCESS.wake = None


def pressed(source: Input) -> bool:
    """Was Ctrl-C pressed after Enter? What was typed before it is dropped, too."""
    keys = [*get_typeahead(source), *_waiting(source)]
    last = max((k for k, key in enumerate(keys) if key.key == Keys.ControlC), default=-1)
    store_typeahead(source, keys[last + 1 :])
    return last >= 0


def _waiting(source: Input) -> list[KeyPress]:
    """The keys that nobody has read yet."""
    found: list[KeyPress] = []
    while not source.closed and select([source.fileno()], [], [], 0)[0]:
        found += source.read_keys()
    return found
