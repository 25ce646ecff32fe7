"""Ctrl-C and SIGTERM: the same way out for both, once, and never a traceback.

Imports next to nothing: until :func:`end_at_a_signal` it is Python that answers.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from types import CodeType, FrameType

TYPE_CHECKING = False  # importing typing would take longer than all of this
if TYPE_CHECKING:
    from typing import Any

#: What a command that was interrupted says.
INTERRUPTION = "interrupted - run again, with --resume where the command has it"
#: What a shell adds to the number of the signal that ended a command.
SIGNALLED = 128

#: Seconds until an interruption that could not be raised, or was lost, is tried again.
_AGAIN_AFTER = 0.1


def end_at_a_signal() -> None:
    """End the process at a signal as a command ends, while it imports its own code.

    Nothing was begun yet that had to be cleaned up.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # it gets no signals
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> None:
    try:
        os.write(2, f"error: {INTERRUPTION}\n".encode())
    finally:
        os._exit(SIGNALLED + number)


class Stop(KeyboardInterrupt):
    """The exception of an interruption; a class of our own to tell if it is gone."""


class Signals:
    """Turns the first Ctrl-C or SIGTERM inside the ``with`` block into an interruption.

    The block is left by it. Later signals have no effect, so that nothing disturbs what
    is cleaned up on the way out. It is never raised in the middle of an import, where C
    code would print it, nor while the block is entered or left, where nobody would
    catch it, and it is raised again if something swallowed it.

    Args:
        for_good: Signals stay without effect when the block ends: the process does,
            too. Otherwise they are what they were before.

    Attributes:
        number: The signal, None while there was none.
    """

    def __init__(self, *, for_good: bool) -> None:
        self.number: int | None = None
        self._for_good, self._is_over = for_good, False
        self._raised: weakref.ref[Stop] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is not threading.main_thread():
            return self  # it gets no signals
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                self._before[number] = signal.signal(number, self._receive)
        if hasattr(signal, "SIGALRM"):
            self._before[signal.SIGALRM] = signal.signal(
                signal.SIGALRM, self._try_again
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> bool:
        self._is_over = True
        if self._before and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._for_good else before)
        return self.number is not None  # whatever it became on its way out

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.number is None and not self._is_over:
            self.number = number
            self._try_again(number, frame)

    def _try_again(self, _: int, frame: FrameType | None) -> None:
        if self._is_over or (self._raised is not None and self._raised() is not None):
            return
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER, _AGAIN_AFTER)
            if _has_to_wait(frame):
                return
        stop = Stop()
        self._raised = weakref.ref(stop)
        try:
            raise stop
        finally:
            del stop  # its traceback holds this frame, which would hold it


_AT_THE_ENDS: set[CodeType] = {Signals.__enter__.__code__, Signals.__exit__.__code__}


def _has_to_wait(frame: FrameType | None) -> bool:
    while frame is not None:
        code = frame.f_code
        if "importlib._bootstrap" in code.co_filename or code in _AT_THE_ENDS:
            return True
        frame = frame.f_back
    return False


def be_silent_about_lost_stops() -> None:
    """Keep Python from printing an interruption that was lost.

    It came in a destructor, or between two steps of the change of its handler.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        error = unraisable.exc_value
        lost = isinstance(error, OSError) and "due to race condition" in str(error)
        if not lost and not isinstance(error, Stop):
            before(unraisable)

    sys.unraisablehook = hook
