"""Whether task sets lie on the nodes together: placement, not sums.

Kinds of tasks are placed one after the other, those that need most GPUs first, then those that need
named resources, then most cores, each on the first nodes that have room (*first fit*).  Nodes in
the same state are one group with a count, so ten thousand nodes cost no more than one.  Yes is
proven by the placement that was found; no may be wrong where only a cleverer placement exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stretto.platform import Platform
from stretto.resources import Amounts, Resources
from stretto.units import GPU_MILLI

__all__ = ["Load", "NodeGroup", "empty_nodes", "named_sums", "placed", "room"]


class Load(NamedTuple):
    """A number of tasks of one shape."""

    shape: Resources
    tasks: int


class NodeGroup(NamedTuple):
    """Nodes in the same state: how many, and what is free on each.

    `gpus_milli` are the free thousandths of every GPU, ascending; `named` are the free amounts of
    named resources, sorted by name.
    """

    nodes: int
    cores: int
    memory_mib: int
    gpus_milli: tuple[int, ...]
    named: Amounts = ()


def empty_nodes(platform: Platform) -> tuple[NodeGroup, ...]:
    """Return the nodes of an empty platform in groups, in the order of their first nodes."""
    counts: dict[tuple[int, int, int, Amounts], int] = {}
    for node in platform.nodes:
        kind = (node.cores, node.memory_mib, node.gpus, node.named)
        counts[kind] = counts.get(kind, 0) + 1
    return tuple(
        NodeGroup(count, cores, memory_mib, (GPU_MILLI,) * gpus, named)
        for (cores, memory_mib, gpus, named), count in counts.items()
    )


def room(nodes: Sequence[NodeGroup], shape: Resources) -> int:
    """Return how many tasks of this shape alone these nodes hold at once.

    Ranks of one task may lie on any nodes, so only their number counts.
    """
    return sum(group.nodes * _ranks_on_each(group, shape) for group in nodes) // shape.ranks


def placed(nodes: Sequence[NodeGroup], loads: Iterable[Load]) -> Sequence[NodeGroup] | None:
    """Return what is left once first fit has placed all these tasks, `None` if it cannot."""
    ranks: dict[Resources, int] = {}
    for shape, tasks in loads:
        ranks[shape] = ranks.get(shape, 0) + tasks * shape.ranks
    if _sums_exceed(nodes, ranks):
        return None
    left: Sequence[NodeGroup] | None = nodes
    for shape in sorted(ranks, key=_need, reverse=True):
        if left is None:
            break
        left = _with_shape(left, shape, ranks[shape])
    return left


def named_sums(amounts: Iterable[tuple[Amounts, int]]) -> Counter[str]:
    """Return the sum by name of amounts of named resources, each with how often it counts."""
    sums = Counter[str]()
    for named, count in amounts:
        for name, amount in named:
            sums[name] += count * amount
    return sums


def _need(shape: Resources) -> tuple[int, Amounts, int, int, int]:
    return shape.gpus_milli, shape.named, shape.cores, shape.memory_mib, shape.ranks


def _sums_exceed(nodes: Sequence[NodeGroup], ranks: dict[Resources, int]) -> bool:
    """Return whether the sums alone say no; most answers are this cheap."""
    offered = named_sums((group.named, group.nodes) for group in nodes)
    needed = named_sums((shape.named, count) for shape, count in ranks.items())
    return (
        sum(shape.cores * count for shape, count in ranks.items())
        > sum(group.nodes * group.cores for group in nodes)
        or sum(shape.gpus_milli * count for shape, count in ranks.items())
        > sum(group.nodes * sum(group.gpus_milli) for group in nodes)
        or sum(shape.memory_mib * count for shape, count in ranks.items())
        > sum(group.nodes * group.memory_mib for group in nodes)
        or any(amount > offered[name] for name, amount in needed.items())
    )


def _with_shape(nodes: Sequence[NodeGroup], shape: Resources, ranks: int) -> list[NodeGroup] | None:
    """Return the nodes with that many ranks placed on the first ones, `None` if too few fit."""
    after = []
    left = ranks
    for group in nodes:
        each = _ranks_on_each(group, shape)
        full, rest = divmod(min(left, each * group.nodes), each) if each else (0, 0)
        left -= full * each + rest
        untouched = group.nodes - full - (rest > 0)
        if full:
            after.append(_with_ranks(group, shape, each)._replace(nodes=full))
        if rest:
            after.append(_with_ranks(group, shape, rest)._replace(nodes=1))
        if untouched:
            after.append(group._replace(nodes=untouched))
    return None if left else after


def _ranks_on_each(group: NodeGroup, shape: Resources) -> int:
    most = []
    if shape.cores:
        most.append(group.cores // shape.cores)
    if shape.memory_mib:
        most.append(group.memory_mib // shape.memory_mib)
    if shape.gpus_milli >= GPU_MILLI:
        most.append(group.gpus_milli.count(GPU_MILLI) // (shape.gpus_milli // GPU_MILLI))
    elif shape.gpus_milli:
        most.append(sum(free // shape.gpus_milli for free in group.gpus_milli))
    if shape.named:
        free_named = dict(group.named)
        most += [free_named.get(name, 0) // amount for name, amount in shape.named]
    return min(most)


def _with_ranks(group: NodeGroup, shape: Resources, ranks: int) -> NodeGroup:
    return NodeGroup(
        nodes=group.nodes,
        cores=group.cores - ranks * shape.cores,
        memory_mib=group.memory_mib - ranks * shape.memory_mib,
        gpus_milli=_gpus_left(group.gpus_milli, shape.gpus_milli, ranks),
        named=_named_left(group.named, shape.named, ranks),
    )


def _gpus_left(gpus_milli: tuple[int, ...], each: int, ranks: int) -> tuple[int, ...]:
    """Return what is free once `ranks` ranks have `each` thousandths; fullest GPUs go first."""
    free = list(gpus_milli)
    if each >= GPU_MILLI:
        # The whole ones stand last, and a rank takes several of them.
        for place in range(len(free) - ranks * each // GPU_MILLI, len(free)):
            free[place] = 0
    elif each:
        for place, milli in enumerate(free):
            here = min(ranks, milli // each)
            free[place] -= here * each
            ranks -= here
    return tuple(sorted(free))


def _named_left(named: Amounts, each: Amounts, ranks: int) -> Amounts:
    if not each:
        return named
    taken = dict(each)
    return tuple((name, amount - ranks * taken.get(name, 0)) for name, amount in named)
