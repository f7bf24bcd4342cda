"""The command line as a process: started, waited for, and cleaned up after."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from stretto.cli import main
from stretto.runtime import RunDirectory

PATIENCE_S = 60.0
STRETTO = [sys.executable, "-m", "stretto.cli"]


def environment(**variables: str) -> dict[str, str]:
    """The environment of a terminal of no particular kind."""
    kept = {
        key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR")
    }
    return {**kept, "NO_COLOR": "1", **variables}


def stretto(
    *words: str | Path, folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*STRETTO, *map(str, words)],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def called(*words: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in this process, which is faster."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["stretto", *map(str, words)]),
        mock.patch.dict(os.environ, environment(), clear=True),
        contextlib.chdir(folder or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        else:
            status = 0
    return subprocess.CompletedProcess(sys.argv, status, out.getvalue(), err.getvalue())


def started(*words: str | Path, folder: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a command in a group of its own, and leave it running."""
    return subprocess.Popen(
        [*STRETTO, *map(str, words)],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_until(condition: Callable[[], object], *, pause_s: float = 0.005) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {condition}"
        time.sleep(pause_s)


def lines(run_dir: Path) -> int:
    """Whole lines in the journal."""
    try:
        return (run_dir / "journal.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0


def left_over(run_dir: Path) -> list[str]:
    """Processes that carry the mark of this run, in whichever life of it."""
    run, _, _ = RunDirectory(run_dir).run_id.rpartition(".")
    mark = f"STRETTO_RUN={run}.".encode()
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if any(one.startswith(mark) for one in environ.read_bytes().split(b"\0")):
                found.append(environ.parent.name)
    return found
