"""The command's process: turns the signals that ask it to end into an end at once, or an interrupt.

Where there is nothing to lose the process ends then and there. In a function that is `patient`, and
at the prompt, KeyboardInterrupt is raised; not while a function runs that is `whole`, nor in an
import, and what swallows it (a destructor, a callback of C) gets it again. Only the command does
so: the handlers of a host are its own.
"""

from __future__ import annotations

import _thread
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # what is imported here delays the moment from which signals are heard
    import signal
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, NoReturn, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])
else:
    import _signal as signal  # the whole of `signal` but its enums

INTERRUPTED, CLOSED = 130, 141
SOON = 0.005
"""Seconds after which an interrupt that came at a bad moment tries again."""
GRACE = 0.05
"""Seconds for a call into C to come back, and as many to be sure that it does not."""
WORDS = {
    int(getattr(signal, name)): word
    for name, word in (("SIGINT", b"interrupted\n"), ("SIGTERM", b"terminated\n"), ("SIGHUP", b""))
    if hasattr(signal, name)
}
"""The signals that ask for the end, and what is said then: nobody hears the last one."""
IMPORTING = "<frozen importlib._bootstrap>"
TIMED = hasattr(signal, "setitimer")
"""Has the system what it takes to try again? Windows has not, and interrupts at any moment."""

_WHOLE: set[int] = set()
_PATIENT: set[int] = set()


def whole(function: F) -> F:
    """No interrupt comes while the function runs: what it changes, it changes at one blow."""
    _WHOLE.add(id(function.__code__))
    return function


def patient(function: F) -> F:
    """While the function runs there is something to lose, and an interrupt is raised."""
    _PATIENT.add(id(function.__code__))
    return function


def _within(frame: FrameType | None, codes: set[int], file: str = "") -> bool:
    """Is a frame, or whoever called it, one of these?"""
    while frame is not None:
        if id(frame.f_code) in codes or frame.f_code.co_filename == file:
            return True
        frame = frame.f_back
    return False


class Process:
    """What the signals asked for. There is one process, so there is one of these."""

    def __init__(self) -> None:
        self.asked = 0
        """the last signal that asked for the end; 0 if none did"""
        self.leaves = False
        """must it end, whoever goes on after an interrupt?"""
        self.converses = False
        """is there a prompt, which goes on?"""
        self.waits = False
        """is an interrupt still to be raised?"""
        self.wake: Callable[[], None] | None = None
        """tells whoever waits in a function that is whole"""
        self.met = False
        """did Python hear of a signal lately?"""
        self.status: int | None = None
        """what it ends with, once that is known"""

    def begin(self) -> None:
        """Take the signals that ask for the end; those that whoever started us ignores stay so."""
        sys.unraisablehook = self._swallowed
        if TIMED:
            signal.signal(signal.SIGALRM, self._again)
            self._watch()
        for number in WORDS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._come)

    def converse(self) -> None:
        """A prompt begins: an interrupt ends what was asked there, not the process."""
        self.converses = True
        if TIMED:
            signal.set_wakeup_fd(-1)

    @whole
    def finish(self, status: int, *, says: bool = False) -> int:
        """The status to end with; from now on a signal ends the process with it at once."""
        ends = self.asked and (self.leaves or status == INTERRUPTED)
        self.status = 128 + self.asked if ends else status
        if says:
            self._later(GRACE)  # a pipe that is full takes no words
            try:
                sys.stdout.flush()
                self._say(self.asked or signal.SIGINT)
            except (OSError, RuntimeError, ValueError):  # broken, or interrupted in mid-word
                pass
        return self.status

    @staticmethod
    def _say(number: int) -> None:
        """What was asked for; on a terminal below what stands in the line."""
        os.write(2, b"\n" * os.isatty(2) + WORDS[number])

    # ---- when it comes ---------------------------------------------------------------------------

    @whole
    def _come(self, number: int, frame: FrameType | None) -> None:
        """What Python calls when a signal has come."""
        self.asked = number
        self.leaves = self.leaves or number != signal.SIGINT
        self._raise(frame)

    @whole
    def _again(self, number: int, frame: FrameType | None) -> None:
        """The moment was bad, or somebody wants to know whether Python hears."""
        self.met = True
        if self.waits or self.status is not None:
            self._raise(frame)

    def _raise(self, frame: FrameType | None) -> None:
        if self.status is not None:
            os._exit(self.status)
        if not self.converses and not _within(frame, _PATIENT):
            os._exit(self.finish(INTERRUPTED, says=True))
        self.waits = TIMED and _within(frame, _WHOLE, IMPORTING)
        if not self.waits:
            raise KeyboardInterrupt
        if self.wake is not None:
            self.wake()
        self._later()

    @staticmethod
    def _later(seconds: float = SOON) -> None:
        """Try again soon."""
        if TIMED:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    @whole
    def _swallowed(self, found: Any) -> None:
        """What Python does with an exception that nobody can catch."""
        if isinstance(found.exc_value, KeyboardInterrupt):
            self.waits = True
            self._later()
        elif not self.asked:  # else it is what an interrupt left half-made, and not ours
            sys.__unraisablehook__(found)

    # ---- by force --------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look, from a thread, whether Python comes to know of what the system was told."""
        reads, writes = os.pipe()
        os.set_blocking(writes, False)
        signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        _thread.start_new_thread(self._force, (reads, _thread.get_ident()))

    def _force(self, reads: int, main: int) -> None:
        """End the process where a long call into C, with nothing to lose, keeps it from it."""
        while True:
            number = next((n for n in os.read(reads, 4096) if n in WORDS), 0)
            self.met = not number
            while not self.met:
                time.sleep(GRACE)
                _thread.interrupt_main(signal.SIGALRM)
                time.sleep(GRACE)
                if not self.met and not _within(sys._current_frames().get(main), _PATIENT):
                    self._say(number)
                    os._exit(128 + number)


PROCESS = Process()


def check() -> None:
    """Called where somebody goes on after an interrupt: not where the process must end."""
    if PROCESS.leaves:
        raise KeyboardInterrupt


def command(run: Callable[[], int]) -> NoReturn:
    """Run what the process is for, and end it with its status; it does not come back to Python.

    So that a signal in the last moment finds nobody who would show it as a mistake.
    """
    try:
        _open_closed()
        PROCESS.begin()
        status = PROCESS.finish(run())
    except KeyboardInterrupt:
        status = PROCESS.finish(INTERRUPTED, says=True)
    except BrokenPipeError:
        status = PROCESS.finish(CLOSED)
    except BaseException:  # an interrupt may come out of a library as something else
        if not PROCESS.asked:
            raise
        status = PROCESS.finish(INTERRUPTED, says=True)
    os._exit(status)


def _open_closed() -> None:
    """Streams that were closed by whoever started us: nothing to read, and a pipe nobody reads."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is not None:
            continue
        if name == "stdout":
            other, opened = os.pipe()
            os.dup2(opened, number)
        else:
            other = opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, number)
        for left in {other, opened} - {number}:
            os.close(left)
        setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # stays open
