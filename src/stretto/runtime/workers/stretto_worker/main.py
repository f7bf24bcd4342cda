"""The worker's main loop: a bundle comes, its calls are made one after another, news goes back."""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from .arguments import Signatures
from .channel import Channel, now_us
from .functions import Functions
from .marks import during
from .surroundings import Output, Surroundings, flush_python, settle_on, variables
from .wire import OVER, PAGE_BYTES, PLAIN, POSITION, SKIPPED, UP, Call, Note

__all__ = ["main"]

_HERE = os.path.dirname(__file__)  # noqa: PTH120  (pathlib is slow to load)


class Worker:
    """What one worker keeps between calls."""

    def __init__(self, channel: Channel, page: mmap.mmap) -> None:
        self._channel = channel
        self._page = page
        self._pid = os.getpid()
        self._functions = Functions()
        self._signatures = Signatures()
        self._output = Output()
        self._surroundings = Surroundings()

    def serve(self) -> None:
        """Make calls until the engine is gone."""
        POSITION.pack_into(self._page, 0, UP)
        while True:
            cpus, calls = self._channel.receive()
            settle_on(cpus)
            alone = len(calls) == 1
            if not alone:
                self._channel.keep_prompt()
            for position, values in enumerate(calls):
                self._step(position, Call._make(values), alone=alone)
            del calls, values
            POSITION.pack_into(self._page, 0, OVER)
            flush_python()
            self._channel.flush()

    def _step(self, position: int, call: Call, *, alone: bool) -> None:
        POSITION.pack_into(self._page, 0, position)
        self._functions.receive(call)
        if self._page[POSITION.size + position]:
            self._channel.tell(tuple(Note(position, now_us(), SKIPPED, None, None, None)))
            return
        self._surroundings.restore()
        with during(self._channel, position):
            made = self._make(call, lambda: self._begin(position, alone))
        if os.getpid() != self._pid:  # a child that the call forked has come back in its place
            os._exit(0)
        error, plain, pickled, exception = made
        self._channel.tell((position, now_us(), error, plain, pickled, exception))

    def _begin(self, position: int, alone: bool) -> None:
        """Tell that a call starts now: after its function was found, which may load libraries."""
        self._channel.tell((position, now_us()))
        if alone:
            self._channel.flush()

    def _make(
        self, call: Call, begin: Callable[[], None]
    ) -> tuple[str | None, Any, bytes | None, bytes | None]:
        """Make one call; nothing that it raises gets any further."""
        try:
            result = self._surrounded(call, begin)
        except BaseException as error:  # a call may end, its worker goes on
            return _failed(error)
        if type(result) in PLAIN:
            return None, result, None, None
        import cloudpickle

        try:
            return None, None, cloudpickle.dumps(result), None
        except BaseException as error:  # pickling runs the user's code, too
            name = type(result).__qualname__
            text = f"a result of type {name!r} cannot be sent back: {error}"
            return text, None, None, pickle.dumps(TypeError(text))

    def _surrounded(self, call: Call, begin: Callable[[], None]) -> Any:
        if not (call.environment or call.stdout or call.stderr):
            return self._run(call, begin)
        with ExitStack() as stack:
            if call.stdout or call.stderr:
                stack.enter_context(self._output.to(call.stdout, call.stderr))
            if call.environment:
                stack.enter_context(variables(call.environment))
            return self._run(call, begin)

    def _run(self, call: Call, begin: Callable[[], None]) -> Any:
        function = self._functions.find(call)
        arguments, fields = call.arguments, call.fields
        if isinstance(arguments, bytes):
            arguments, fields = pickle.loads(arguments)  # noqa: S301  (the user's own values)
        kwargs = self._signatures.complete(function, arguments, fields)
        begin()
        return function(*arguments[0], **kwargs)


def _failed(error: BaseException) -> tuple[str, None, None, bytes]:
    try:
        text, pickled = _describe(error)
    except BaseException:  # describing runs the user's code, too
        text = f"{type(error).__qualname__}, which cannot be described"
        pickled = pickle.dumps(RuntimeError(text))
    return text, None, None, pickled


def _describe(error: BaseException) -> tuple[str, bytes]:
    """Return an exception's traceback, without our own frames, and the exception as a pickle."""
    import traceback

    import cloudpickle

    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_HERE):
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames)).rstrip()
    try:
        pickled = cloudpickle.dumps(error)
        pickle.loads(pickled)  # noqa: S301  (ours: some can be pickled, but not loaded again)
    except Exception:  # as above
        pickled = pickle.dumps(RuntimeError(f"{type(error).__qualname__}: {error}"))
    return text, pickled


def main() -> None:
    """Serve the socket and the page whose numbers are the last two arguments."""
    stream, page_file = socket.socket(fileno=int(sys.argv[-2])), int(sys.argv[-1])
    stream.set_inheritable(False)
    page = mmap.mmap(page_file, PAGE_BYTES)
    os.close(page_file)
    # The engine decides what an interrupt means.  Not "ignored": programs would inherit that.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    channel = Channel(stream)
    with suppress(EOFError, ConnectionError):
        sys.path[:] = channel.receive()
        import cloudpickle  # noqa: F401  (now, and not during the first call)

        Worker(channel, page).serve()
    # At once: threads that calls have left behind must not keep us.
    os._exit(0)
