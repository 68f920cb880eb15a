"""The keys that are nablisp's own: turns Enter, Tab and pastes into text as Lisp is written."""

from __future__ import annotations

from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_completions, has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from .brackets import finished, nesting
from .commands import COMMANDS, is_command
from .indent import indentation
from .pasted import pasted, unprompted


def bindings() -> KeyBindings:
    """What the keys do while an entry is typed; all others are prompt_toolkit's."""
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)

    @Condition
    def in_indent() -> bool:
        from prompt_toolkit.application import get_app

        line = get_app().current_buffer.document
        return line.cursor_position_row > 0 and not line.current_line_before_cursor.strip()

    @keys.add("enter", filter=typing)
    def _(event: KeyPressEvent) -> None:
        """Take the completion chosen; else run what is finished, or begin a line."""
        buffer = event.current_buffer
        menu = buffer.complete_state
        if menu and menu.current_completion and len(menu.completions) > 1:
            buffer.complete_state = None
        elif is_finished(buffer.text):
            buffer.validate_and_handle()
        else:
            _new_line(event)

    @keys.add("escape", "enter", filter=typing)
    def _(event: KeyPressEvent) -> None:
        _new_line(event)

    @keys.add("tab", filter=typing & in_indent & ~has_completions)
    def _(event: KeyPressEvent) -> None:
        """The line to its column."""
        buffer, document = event.current_buffer, event.current_buffer.document
        after = document.current_line_after_cursor
        buffer.delete(len(after) - len(after.lstrip(" ")))
        buffer.delete_before_cursor(len(document.current_line_before_cursor))
        buffer.insert_text(" " * indentation(buffer.document.text_before_cursor))

    @keys.add(Keys.BracketedPaste, filter=typing)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(pasted(event.data))

    return keys


def _new_line(event: KeyPressEvent) -> None:
    """A line, indented, in place of the blanks around the cursor; in a string just a line."""
    buffer, document = event.current_buffer, event.current_buffer.document
    if nesting(document.text_before_cursor).inside == '"':
        buffer.insert_text("\n")
        return
    before, after = document.current_line_before_cursor, document.current_line_after_cursor
    buffer.delete(len(after) - len(after.lstrip(" ")))
    buffer.delete_before_cursor(len(before) - len(before.rstrip(" ")))
    buffer.insert_text("\n" + " " * indentation(buffer.document.text_before_cursor))


def is_finished(text: str) -> bool:
    """Does Enter run it? A command may hold a form that goes on."""
    text = unprompted(text)
    if not is_command(text):
        return finished(text)
    name, _, rest = text.lstrip().partition(" ")
    row = COMMANDS.get(name.removeprefix(","))
    return row is None or row.takes != "form" or finished(rest)
