"""What a call finds around it: its variables, its output files, its CPUs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["Output", "flush_python", "settle_on", "variables"]


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

    @contextmanager
    def to(self, stdout: str | None, stderr: str | None) -> Iterator[None]:
        """Send what is printed to these files (`None`: leave it) while the context lasts."""
        self._flush()
        saved: list[tuple[int, int]] = []
        try:
            for descriptor, path in ((1, stdout), (2, stderr)):
                if path is None:
                    continue
                # The second of two equal names must not empty what the first one holds.
                file = _create(path, empty=descriptor == 1 or path != stdout)
                saved.append((descriptor, os.dup(descriptor)))
                os.dup2(file, descriptor)
                os.close(file)
            yield
        finally:
            self._flush()
            for descriptor, copy in saved:
                os.dup2(copy, descriptor)
                os.close(copy)

    def _flush(self) -> None:
        """Write out what Python and the C library have kept back."""
        flush_python()
        if self._flush_c is None:
            import ctypes

            self._flush_c = ctypes.CDLL(None).fflush
        self._flush_c(None)


def _create(path: str, *, empty: bool) -> int:
    """Open a file for output, and make its folder if there is none."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_TRUNC if empty else 0)
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        return os.open(path, flags, 0o666)
