"""The journal: one append-only file of JSON lines, from which everything else is derived.

The first line says what is run; each further line is a round: its time, what had arrived, what was
launched.  A round is written before its launches are acted on, so that after a crash nothing runs
that the journal does not know of; and with the kernel at once, so that what a killed process had
been told is not lost.  A last line that was torn by a crash is dropped.  The file needs no service,
works on parallel file systems, and can be followed while the run is on.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stretto.errors import BackendError, WorkflowError
from stretto.platform import Node, Platform
from stretto.scheduler import Event, Order
from stretto.trace.builder import TraceBuilder
from stretto.trace.codec import event_from_json, event_to_json
from stretto.trace.record import Kind, Trace
from stretto.workflow import Workflow, workflow_from_mapping, workflow_to_mapping

__all__ = ["Header", "Journal", "read_events", "read_header", "read_trace", "trim"]

FORMAT = 1
"""Version of the format; a journal of another one is refused."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a journal is the journal of.

    Parameters
    ----------
    workflow, platform, mode, seed, kind, time_scale, order
        As in a `Trace`.
    began
        Wall-clock time at which the run began, ISO 8601 with offset.
    """

    workflow: Workflow
    platform: Platform
    mode: str
    seed: int
    kind: Kind
    time_scale: float
    began: str
    order: Order = field(default_factory=Order)

    def to_json(self) -> dict[str, Any]:
        """Return the header's line as an object."""
        return {
            "stretto": FORMAT,
            "mode": self.mode,
            "order": self.order.to_json(),
            "seed": self.seed,
            "kind": str(self.kind),
            "time_scale": self.time_scale,
            "began": self.began,
            "folder": str(self.workflow.folder),
            "platform": {
                "name": self.platform.name,
                "local": self.platform.local,
                "nodes": [_node_to_json(node) for node in self.platform.nodes],
            },
            "workflow": workflow_to_mapping(self.workflow),
        }

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Header:
        """Return the header that `to_json` made."""
        platform = line["platform"]
        nodes = tuple(Node(*node) for node in platform["nodes"])
        return cls(
            workflow=workflow_from_mapping(line["workflow"], folder=Path(line["folder"])),
            platform=Platform(platform["name"], nodes, platform["local"]),
            mode=line["mode"],
            # Runs of versions that knew no other order have none in their header.
            order=Order.from_json(line["order"]) if "order" in line else Order(),
            seed=line["seed"],
            kind=Kind(line["kind"]),
            time_scale=line["time_scale"],
            began=line["began"],
        )


def _node_to_json(node: Node) -> list[Any]:
    # Named resources come last, and only where there are any.
    rest = [node.named] if node.named else []
    return [node.name, node.cores, node.gpus, node.memory_mib, *rest]


class Journal:
    """A journal that is being written, locked against all others who would.

    Parameters
    ----------
    path
        Its file.

    Raises
    ------
    BlockingIOError
        If somebody else writes it.
    OSError
        If it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            trim(path)
            self._size = path.stat().st_size
        except OSError:
            self._file.close()
            raise
        self._dirty = False

    @classmethod
    def create(cls, path: Path, header: Header) -> Journal:
        """Begin a journal; there must be none yet, or one without a single whole line."""
        journal = cls(path)
        try:
            if journal._size:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            journal._write(header.to_json())
            journal.sync()
        except (OSError, BackendError):
            journal.close()
            raise
        return journal

    @classmethod
    def append_to(cls, path: Path) -> Journal:
        """Go on with a journal; a torn last line is cut off."""
        return cls(path)

    def round(self, time_us: int, events: Sequence[Event]) -> None:
        """Append one round; it outlives this process, and the machine after `sync`."""
        self._write({"t": time_us, "events": [event_to_json(event) for event in events]})

    def note(self, time_us: int, text: str) -> None:
        """Append something that befell the run as a whole."""
        self._write({"t": time_us, "note": text})

    def sync(self) -> None:
        """Return once everything appended is on disk.

        Raises
        ------
        BackendError
            If the disk refuses.
        """
        if not self._dirty:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(error) from None
        self._dirty = False

    def close(self) -> None:
        """Close the file; what was appended is on disk."""
        try:
            self.sync()
        finally:
            self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        """Append a whole line, or nothing."""
        left = memoryview(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        size = self._size + len(left)
        try:
            while left:
                left = left[os.write(self._file.fileno(), left) :]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise _unwritable(error) from None
        self._size = size
        self._dirty = True


def _unwritable(error: OSError) -> BackendError:
    return BackendError(f"the journal cannot be written: {error.strerror}", retryable=False)


def trim(path: Path) -> None:
    """Cut a torn last line off the file."""
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def read_header(path: Path) -> Header:
    """Return the header of a journal.

    Raises
    ------
    WorkflowError
        If there is no journal, or it is not one of this format.
    """
    for line in _lines(path):
        if line.get("stretto") != FORMAT:
            raise WorkflowError(f"not a journal of format {FORMAT}", source=str(path))
        return Header.from_json(line)
    raise WorkflowError("the run had not begun when it was stopped; run it anew", source=str(path))


def read_events(path: Path) -> Iterator[tuple[int, list[Event], str | None]]:
    """Yield each round's time, events and note, in order; a torn last line is left out."""
    for number, line in enumerate(_lines(path), start=1):
        if number == 1:
            continue
        try:
            events = [event_from_json(event) for event in line.get("events", [])]
            yield line["t"], events, line.get("note")
        except (KeyError, TypeError, ValueError):
            raise WorkflowError(
                "expected a round; the journal is damaged here", source=f"{path}:{number}"
            ) from None


def read_trace(path: Path) -> Trace:
    """Return the trace that a journal holds so far."""
    header = read_header(path)
    builder = TraceBuilder()
    for time_us, events, note in read_events(path):
        for event in events:
            try:
                builder.add(event)
            except KeyError:
                raise WorkflowError(
                    f"the journal is damaged: {event} was never launched", source=str(path)
                ) from None
        if note is not None:
            builder.note(time_us, note)
    return builder.trace(
        header.workflow,
        header.platform,
        mode=header.mode,
        seed=header.seed,
        kind=header.kind,
        order=header.order,
        time_scale=header.time_scale,
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                yield _parsed(line, f"{path}:{number}")
    except (FileNotFoundError, NotADirectoryError):
        raise WorkflowError(
            f"there is no run here (no {path.name})", source=str(path.parent)
        ) from None
    except OSError as error:
        raise WorkflowError(f"cannot be read: {error.strerror}", source=str(path)) from None


def _parsed(line: bytes, source: str) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise WorkflowError("expected a JSON object; the journal is damaged here", source=source)
    return parsed
