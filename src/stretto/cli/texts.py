"""Numbers as people read them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from stretto.units import counted

__all__ = [
    "last_line",
    "percent",
    "printable",
    "resume_command",
    "said",
    "seconds",
    "share",
    "span",
    "whole_percent",
]


def last_line(reason: str) -> str:
    """Return the last line of why a task failed: of a traceback, the one that counts."""
    return reason.strip().splitlines()[-1] if reason.strip() else "failed"


def resume_command(run_dir: Path, command: str = "resume") -> str:
    """Return the command that goes on with a run, to be pasted into a shell."""
    return f"stretto {command} {shlex.quote(str(run_dir))}"


def printable(text: str) -> str:
    """Return text with its control characters written out: what tasks say is not obeyed."""
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)


def said(converged: bool | None, tasks: int | None) -> str:
    """Return in words what a result says of how the workflow goes on."""
    words = {None: "", True: "converged", False: "not converged"}[converged]
    counts = "" if tasks is None else counted(tasks, "task")
    return ", ".join(one for one in (words, counts) if one)


def seconds(value: float | None) -> str:
    """Return a time in seconds, to a precision that tells something."""
    if value is None:
        return "–"
    return f"{value:,.0f} s" if value >= 1000 else f"{value:.4g} s"


def share(value: float | None) -> str:
    """Return a number such as I with its sign, to three digits."""
    return "–" if value is None else f"{value:+.3f}"


def percent(value: float | None) -> str:
    """Return a share as per cent."""
    return "–" if value is None else f"{value:.1%}"


def whole_percent(value: float | None) -> str:
    """Return a share as whole per cent."""
    return "–" if value is None else f"{value:.0%}"


def span(interval: Mapping[str, float]) -> str:
    """Return the 5th to the 95th percentile of times in seconds."""
    return f"{seconds(interval['p5']).removesuffix(' s')}–{seconds(interval['p95'])}"
