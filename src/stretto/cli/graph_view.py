"""The dependency graph of task sets, as text, Mermaid or Graphviz."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from stretto.units import counted
from stretto.workflow import Dependency, Stragglers, Workflow

__all__ = ["GraphFormat", "graph_text"]


class GraphFormat(StrEnum):
    """Ways to write a graph."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"


def graph_text(workflow: Workflow, form: GraphFormat) -> str:
    """Return the graph of one iteration, edges to the next one marked."""
    match form:
        case GraphFormat.TEXT:
            return "\n".join(_lines(workflow))
        case GraphFormat.MERMAID:
            return "\n".join(_mermaid(workflow))
        case GraphFormat.DOT:
            return "\n".join(_dot(workflow))
        case _:
            assert_never(form)


def _label(one: Dependency) -> str:
    parts = [str(one.pattern) if one.quorum is None else f"{one.pattern} {one.quorum}"]
    if one.stragglers is Stragglers.CANCEL:
        parts.append("cancels stragglers")
    if one.previous:
        parts.append(f"previous iteration, staleness {one.staleness}")
    return ", ".join(parts)


def _lines(workflow: Workflow) -> list[str]:
    turns = str(workflow.open_loop or counted(workflow.iterations, "iteration"))
    lines = [f"{workflow.name}: {workflow.n_tasks} tasks in {turns}"]
    for number, stage in enumerate(workflow.stages):
        lines.append(f"stage {number}")
        for name in stage:
            task_set = workflow[name]
            tasks = task_set.open_count or counted(task_set.tasks, "task")
            lines.append(f"  {name}: {tasks}, {task_set.resources} each")
            lines += [f"    waits for {one.on} ({_label(one)})" for one in task_set.after]
    return lines


def _mermaid(workflow: Workflow) -> list[str]:
    lines = ["graph LR"]
    lines += [f'    {one.name}["{one.name} × {one.tasks}"]' for one in workflow.task_sets]
    for task_set in workflow.task_sets:
        for one in task_set.after:
            arrow = "-." if one.previous else "--"
            head = ".->" if one.previous else "-->"
            lines.append(f'    {one.on} {arrow} "{_label(one)}" {head} {task_set.name}')
    return lines


def _dot(workflow: Workflow) -> list[str]:
    lines = [f'digraph "{workflow.name}" {{', "    rankdir=LR; node [shape=box];"]
    lines += [f'    "{one.name}" [label="{one.name} × {one.tasks}"];' for one in workflow.task_sets]
    for task_set in workflow.task_sets:
        for one in task_set.after:
            style = ", style=dashed" if one.previous else ""
            edge = f'"{one.on}" -> "{task_set.name}"'
            lines.append(f'    {edge} [label="{_label(one)}"{style}];')
    return [*lines, "}"]
