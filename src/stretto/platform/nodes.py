"""Platforms: nodes with cores, GPUs, memory and named resources, and what fits on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from stretto.errors import WorkflowError, under_key
from stretto.resources import Amounts, Resources, named_amounts
from stretto.units import GPU_MILLI
from stretto.workflow import Workflow

__all__ = ["Node", "Platform", "check_fits", "ranks_on"]

MOST_NODES = 100_000
MOST_CORES_A_NODE = 4096
MOST_GPUS_A_NODE = 64


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Parameters
    ----------
    name
        For people.
    cores
        Cores (hardware threads where the site counts those) that tasks may use.
    gpus
        GPUs that tasks may use.
    memory_mib
        Memory for tasks in MiB.
    named
        Amounts of named resources, as pairs; kept sorted by name, without those that are 0.
    """

    name: str
    cores: int
    gpus: int
    memory_mib: int
    named: Amounts = ()

    def __post_init__(self) -> None:
        for key, value, most in (
            ("cores", self.cores, MOST_CORES_A_NODE),
            ("gpus", self.gpus, MOST_GPUS_A_NODE),
            ("memory", self.memory_mib, 1 << 40),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise WorkflowError(f"expected 0 to {most}, found {value!r}", path=(key,))
        if self.named != ():
            object.__setattr__(self, "named", under_key("named", named_amounts, self.named))


@dataclass(frozen=True, slots=True)
class Platform:
    """Nodes that a workflow may use, in the order in which they are filled.

    Parameters
    ----------
    name
        Such as ``"summit:16"``.
    nodes
        At least one.
    local
        Whether it is this machine, so that tasks can really run on it.
    """

    name: str
    nodes: tuple[Node, ...]
    local: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.nodes) <= MOST_NODES:
            raise WorkflowError(
                f"expected 1 to {MOST_NODES} nodes, found {len(self.nodes)}", path=("nodes",)
            )

    @property
    def cores(self) -> int:
        """Cores of all nodes."""
        return sum(node.cores for node in self.nodes)

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    def named_total(self, name: str) -> int:
        """Return how much of a named resource all nodes have together."""
        return sum(amount for node in self.nodes for one, amount in node.named if one == name)

    def with_nodes(self, count: int) -> Platform:
        """Return an allocation of `count` nodes like these: its first ones, or these repeated."""
        if not 1 <= count <= MOST_NODES:
            raise WorkflowError(f"expected 1 to {MOST_NODES} nodes, found {count}", path=("nodes",))
        if count == len(self.nodes):
            return self
        nodes = tuple(
            replace(self.nodes[at % len(self.nodes)], name=f"n{at}")
            if at >= len(self.nodes)
            else self.nodes[at]
            for at in range(count)
        )
        base, _, number = self.name.rpartition(":")
        name = base if base and number.isdigit() else self.name
        return Platform(f"{name}:{count}", nodes, self.local)


def ranks_on(node: Node, shape: Resources) -> int:
    """Return how many ranks of this shape an empty node holds, at most ``shape.ranks``."""
    most = shape.ranks
    if shape.cores:
        most = min(most, node.cores // shape.cores)
    if shape.gpus_milli >= GPU_MILLI:
        most = min(most, node.gpus // (shape.gpus_milli // GPU_MILLI))
    elif shape.gpus_milli:
        most = min(most, node.gpus * (GPU_MILLI // shape.gpus_milli))
    if shape.memory_mib:
        most = min(most, node.memory_mib // shape.memory_mib)
    if shape.named:
        offered = dict(node.named)
        most = min(most, *(offered.get(name, 0) // amount for name, amount in shape.named))
    return most


def check_fits(workflow: Workflow, platform: Platform) -> None:
    """Raise `WorkflowError` if a task of some set can never be placed on this platform."""
    kinds = Counter((node.cores, node.gpus, node.memory_mib, node.named) for node in platform.nodes)
    room: dict[Resources, int] = {}
    for task_set in workflow.task_sets:
        shape = task_set.resources
        if shape not in room:
            room[shape] = sum(
                count * ranks_on(Node("", *kind), shape) for kind, count in kinds.items()
            )
        if room[shape] < shape.ranks:
            raise WorkflowError(
                f"a task needs {shape}, which fits on no part of {platform.name} "
                f"({_describe(platform)})",
                path=("task_sets", task_set.name),
            )


def _describe(platform: Platform) -> str:
    largest = max(platform.nodes, key=lambda node: (node.cores, node.gpus, node.memory_mib))
    nodes = len(platform.nodes)
    most: dict[str, int] = {}
    for node in platform.nodes:
        for name, amount in node.named:
            most[name] = max(most.get(name, 0), amount)
    named = "".join(f", {amount} {name}" for name, amount in sorted(most.items()))
    return (
        f"{nodes} node{'s' * (nodes != 1)} of up to {largest.cores} cores, "
        f"{largest.gpus} GPUs, {largest.memory_mib} MiB{named}"
    )
