"""What a call finds around it: its variables, its output files, its CPUs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from .outputs import Outputs

__all__ = ["Output", "Surroundings", "flush_python", "settle_on", "variables"]


@contextmanager
def variables(environment: tuple[tuple[str, str], ...]) -> Iterator[None]:
    """Set environment variables while the context lasts."""
    before = {name: os.environ.get(name) for name, _ in environment}
    try:
        os.environ.update(environment)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Surroundings:
    """What a worker had around it when it began, to be restored before each call."""

    def __init__(self) -> None:
        self._directory = os.getcwd()  # noqa: PTH109  (pathlib is slow to load)
        self._variables = dict(_raw_variables())
        self._on_terminate = signal.getsignal(signal.SIGTERM)

    def restore(self) -> None:
        """Undo what the last call changed: directory, variables, what SIGTERM does."""
        with suppress(OSError):
            if os.getcwd() != self._directory:  # noqa: PTH109
                os.chdir(self._directory)
        if _raw_variables() != self._variables:
            os.environb.clear()
            os.environb.update(self._variables)
        if signal.getsignal(signal.SIGTERM) is not self._on_terminate:
            signal.signal(signal.SIGTERM, self._on_terminate)


def _raw_variables() -> dict[bytes, bytes]:
    """Return the variables as Python keeps them; to decode them all would take 40 µs a call."""
    raw: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    return raw


def settle_on(cpus: Sequence[int] | None) -> None:
    """Put every thread of this process on these CPUs."""
    if cpus is None or os.sched_getaffinity(0) == set(cpus):
        return
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208  (pathlib is slow to load)
        with suppress(OSError):  # it has just ended
            os.sched_setaffinity(int(thread), cpus)


def flush_python() -> None:
    """Write out what Python has kept back of what was printed."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with suppress(Exception):  # closed, replaced or on a full disk: no call's fault
            stream.flush()  # type: ignore[union-attr]


class Output:
    """Where a call prints: file descriptors 1 and 2, so that what C code prints goes along."""

    def __init__(self) -> None:
        self._flush_c: Callable[[None], Any] | None = None
        self._outputs = Outputs(most_spare=0)  # a worker may be killed with what it keeps

    @contextmanager
    def to(self, stdout: str | None, stderr: str | None) -> Iterator[None]:
        """Send what is printed to these files (`None`: leave it) while the context lasts."""
        self._flush()
        saved: list[tuple[int, int]] = []
        try:
            for path in dict.fromkeys((stdout, stderr)):
                if path is None:
                    continue
                file = self._outputs.open(path)
                for descriptor, wanted in ((1, stdout), (2, stderr)):
                    if wanted == path:
                        saved.append((descriptor, os.dup(descriptor)))
                        os.dup2(file, descriptor)
                os.close(file)
            yield
        finally:
            self._flush()
            for descriptor, copy in saved:
                os.dup2(copy, descriptor)
                os.close(copy)
            for path in dict.fromkeys((stdout, stderr)):
                if path is not None:
                    self._outputs.give_back(path)

    def _flush(self) -> None:
        """Write out what Python and the C library have kept back."""
        flush_python()
        if self._flush_c is None:
            import ctypes

            self._flush_c = ctypes.CDLL(None).fflush
        self._flush_c(None)
