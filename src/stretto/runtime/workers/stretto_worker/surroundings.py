"""What a call finds around it: its variables, its output files, its CPUs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from .outputs import Outputs

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
