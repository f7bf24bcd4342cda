"""What commands read, and how they say what was wrong with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stretto.analysis import read_calibration
from stretto.apps.paper import workload
from stretto.cli.options import CRITICAL_PATH
from stretto.cli.orders import order_named
from stretto.errors import WorkflowError
from stretto.platform import Overheads
from stretto.scheduler import Order
from stretto.workflow import Command, Workflow, located, read_workflow

__all__ = ["PAPER", "about", "calibrated", "print_json", "workflow_of"]

PAPER = "paper:"
SHELL_SIGNS = frozenset({">", ">>", "<", "<<", "|", "||", "&", "&&", ";", "2>", "2>&1"})
"""Words that mean something to a shell only."""


def workflow_of(file: str) -> Workflow:
    """Return the workflow of a file or of the paper; a note where a shell may have been meant."""
    if file.startswith(PAPER):
        return workload(file.removeprefix(PAPER))
    workflow = read_workflow(file)
    for task_set in workflow.task_sets:
        match task_set.work:
            case Command(words, shell=False):
                for sign in sorted(SHELL_SIGNS.intersection(words)):
                    print(
                        f"note: {task_set.name} hands {sign!r} to its program as a word; "
                        "with shell: true a shell would see it",
                        file=sys.stderr,
                    )
            case _:
                pass
    return workflow


@contextmanager
def about(file: str) -> Iterator[None]:
    """Say of an error that shows only later which line of the file it is about."""
    try:
        yield
    except WorkflowError as error:
        raise error if file.startswith(PAPER) else located(error, file) from None


def calibrated(
    workflow: Workflow, order: str | None, calibration: Path | None
) -> tuple[Workflow, Overheads | None, Order]:
    """Return the workflow, overheads and order with what a calibration has learned.

    An order that is asked for goes before the engine's own.
    """
    if calibration is None:
        return workflow, None, order_named(order or CRITICAL_PATH)
    learned = read_calibration(calibration)
    chosen = order_named(learned.order if order is None else order)
    return learned.applied(workflow), learned.overheads, chosen


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    print(json.dumps(value, indent=2))
