"""What a run did without: failures that budgets allowed."""

from __future__ import annotations

from stretto.trace import Outcome, Trace
from stretto.units import counted

__all__ = ["budgets_used"]

MOST_TOLD = 8
"""Sets that are told; of more only the number."""


def budgets_used(trace: Trace) -> list[str]:
    """Return a sentence on each set that counts as complete though tasks of it failed."""
    if not trace.pardons:
        return []
    instances = trace.expansion().instances
    finished = set(trace.task[trace.outcome == Outcome.FINISHED].tolist())
    lines = []
    for pardon in trace.pardons[:MOST_TOLD]:
        one = instances[pardon.instance]
        tasks = range(one.first_task, one.first_task + one.count)
        failed = sum(task not in finished and task not in trace.dropped for task in tasks)
        lines.append(
            f"{one.name} counts as complete: {failed} of {counted(one.count, 'task')} failed, "
            f"{one.task_set.failures.to_value()} may"
        )
    if len(trace.pardons) > MOST_TOLD:
        lines.append(f"{counted(len(trace.pardons) - MOST_TOLD, 'set')} more count as complete")
    if trace.dropped and trace.workflow.open_loop is None:
        lines.append(f"{counted(len(trace.dropped), 'task')} dropped")
    return lines
