"""The run directory: where a run keeps all it has.

==================  ==========================================================
journal.jsonl       the journal; everything else can be derived from it
description.*       the description as it was read, to the letter
expanded.yaml       the description as it was understood
tasks/              output of every attempt, see `assignments`
report.html         the report, once there is one
marks               while it runs: a pipe into which tasks write that they wait
channels.json       while it runs: address and keys of the channels, if there are any
driver.pid          the process that drives it, or did last, and how many have
==================  ==========================================================

Beside it, ``latest`` links to the newest run.  Who drives a run holds a lock on its journal, so
that no two do.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stretto.errors import BackendError, WorkflowError
from stretto.trace import Header, Journal
from stretto.workflow import write_workflow

__all__ = ["RunDirectory", "task_folder"]


def task_folder(run_dir: Path, task_set: str, iteration: int) -> Path:
    """Return where the output and the results of a task set in one iteration lie."""
    return run_dir / "tasks" / task_set / str(iteration)


NO_RUN = "there is no run here (no journal.jsonl)"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """A run's directory, absolute."""

    path: Path

    @property
    def journal(self) -> Path:
        """The journal's path."""
        return self.path / "journal.jsonl"

    @property
    def report(self) -> Path:
        """The report's path."""
        return self.path / "report.html"

    @property
    def marks(self) -> Path:
        """Path of the pipe into which tasks write that they wait, while the run is on."""
        return self.path / "marks"

    @property
    def channel_keys(self) -> Path:
        """Path of the file by which tasks find the channels, while the run is on."""
        return self.path / "channels.json"

    @property
    def run_id(self) -> str:
        """A name for this life of the run that no other run on this machine has, nor other life.

        What ends the processes of a killed driver must not end those of the one that goes on.
        """
        status = self.journal.stat()
        return f"{status.st_dev:x}-{status.st_ino:x}.{self._signature()[1]}"

    def sign(self) -> None:
        """Put down that this process drives the run, in a new life of it."""
        life = self._signature()[1] + 1
        partial = self.path / "driver.partial"
        partial.write_text(f"{os.getpid()} {life}\n")
        partial.replace(self.path / "driver.pid")

    def _signature(self) -> tuple[int, int]:
        """Return the process that drives the run or did last, and the number of its life."""
        try:
            pid, life = (self.path / "driver.pid").read_text().split()
            return int(pid), int(life)
        except (FileNotFoundError, ValueError):
            return 0, 0

    def driver(self) -> int:
        """Return the process that drives the run.

        Raises
        ------
        WorkflowError
            If nobody does, or not from this machine.
        """
        try:
            with self.journal.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._holder()
        except OSError:
            raise WorkflowError(NO_RUN, source=str(self.path)) from None
        raise WorkflowError("nobody is driving this run", source=str(self.path))

    def _holder(self) -> int:
        """Return the process in ``driver.pid`` if it is the driver, and no later one of its number.

        It is if it has the journal open.
        """
        journal = self.journal.stat()
        pid, _ = self._signature()
        with suppress(OSError):
            for file in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if os.path.samestat(file.stat(), journal):
                        return pid
        raise WorkflowError("this run is not driven from this machine", source=str(self.path))

    @classmethod
    def create(
        cls, path: Path | None, header: Header, *, began: datetime, original: Path | None
    ) -> tuple[RunDirectory, Journal]:
        """Make the directory of a new run and begin its journal, locked.

        Parameters
        ----------
        path
            Where; ``runs/NAME-TIME`` unless given.  It may be there, but not with a run in it.
        header
            What is run.
        began
            Wall-clock time of the beginning.
        original
            File that the description was read from.

        Raises
        ------
        WorkflowError
            If there is a run already, or the directory cannot be made.
        BackendError
            If there is no room for the journal.
        """
        directory = cls(path.absolute() if path else _fresh(header.workflow.name, began))
        try:
            directory.path.mkdir(parents=True, exist_ok=True)
            journal = Journal.create(directory.journal, header)
        except BlockingIOError:
            raise _driven(directory) from None
        except OSError as error:
            if directory.journal.exists():
                message = "there is a run already; resume it, or choose another directory"
            else:
                message = f"the run directory cannot be made: {error.strerror}"
            raise WorkflowError(message, source=str(directory.path)) from None
        try:
            directory._describe(header, original)
        except OSError as error:
            journal.close()
            raise BackendError(
                f"{error.filename or directory.path} cannot be written: {error.strerror}",
                retryable=False,
            ) from None
        return directory, journal

    def _describe(self, header: Header, original: Path | None) -> None:
        """Put down who drives the run and what is run."""
        self.sign()
        text = write_workflow(header.workflow)
        (self.path / "expanded.yaml").write_text(text, encoding="utf-8")
        if original is not None:
            copy = self.path / f"description{original.suffix}"
            copy.write_bytes(original.read_bytes())
        _link_latest(self.path)

    @classmethod
    def open(cls, path: Path) -> tuple[RunDirectory, Journal]:
        """Go on with the journal of a run that nobody drives, locked but not signed yet.

        Raises
        ------
        WorkflowError
            If there is no run, or somebody drives it.
        """
        directory = cls(path.resolve())
        if not directory.journal.is_file():
            raise WorkflowError(NO_RUN, source=str(path))
        try:
            return directory, Journal.append_to(directory.journal)
        except BlockingIOError:
            raise _driven(directory) from None
        except OSError as error:
            raise WorkflowError(f"cannot be written: {error.strerror}", source=str(path)) from None


def _fresh(name: str, began: datetime) -> Path:
    stem = Path("runs").absolute() / f"{name}-{began:%Y%m%d-%H%M%S}"
    path, number = stem, 1
    while path.exists():
        number += 1
        path = stem.with_name(f"{stem.name}-{number}")
    return path


def _driven(directory: RunDirectory) -> WorkflowError:
    return WorkflowError("somebody is driving this run", source=str(directory.path))


def _link_latest(path: Path) -> None:
    """Link to the newest run, where there can be links: it is a convenience."""
    link = path.parent / "latest"
    if link.exists() and not link.is_symlink():
        return
    fresh = path.parent / f".latest-{os.getpid()}"
    with suppress(OSError):
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(path.name)
        fresh.replace(link)
