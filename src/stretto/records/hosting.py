"""Where a record's tasks ran: its machines, and the platform that they make.

A record may list its machines with their sizes, only name them with its tasks, or say nothing.
Machines of unknown size are taken to be alike, as large as the most that was held on one of them at
once; what is said, and was passed all the same, is widened and told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from stretto.errors import WorkflowError
from stretto.platform import Node, Platform
from stretto.records.describing import name_from
from stretto.records.ledger import Host, Ledger
from stretto.records.record import Record
from stretto.records.texts import named
from stretto.units import counted

__all__ = ["hosts_of", "platform_of", "platform_text"]


def hosts_of(record: Record, given: Platform | None) -> tuple[list[Host], dict[str, int]]:
    """Return the machines, and the number of each by the name it has in the record."""
    listed = [one.name for one in record.machines]
    used = {
        name for task in record.tasks for one in task.attempts for name in one.machines
    }.difference(listed)
    names = [*listed, *sorted(used, key=_natural)]
    if given is None:
        hosts = [Host(one.name, one.cores, None, one.memory_mib) for one in record.machines]
        hosts += [Host(f"node{one}" if one.isdecimal() else one) for one in names[len(listed) :]]
        return hosts, {name: number for number, name in enumerate(names)}
    if len(names) > len(given.nodes):
        raise WorkflowError(
            f"its tasks ran on {counted(len(names), 'node')}, more than the "
            f"{len(given.nodes)} of {given.name}",
            source=record.source,
        )
    known = {node.name: number for number, node in enumerate(given.nodes)}
    if not all(name in known for name in names):
        known = {name: number for number, name in enumerate(names)}
    return [
        Host(one.name, one.cores, one.gpus, one.memory_mib, one.named) for one in given.nodes
    ], known


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key by which ``node10`` comes behind ``node9``."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(one), one) if one.isdecimal() else (0, 0, one) for one in parts]


def platform_of(
    record: Record, given: Platform | None, ledger: Ledger
) -> tuple[Platform, tuple[str, ...]]:
    """Return what the record shows of where it ran, and sentences about that."""
    hosts = ledger.hosts or [Host("node0", 1)]
    nodes = [host.node() for host in hosts]
    placed = any(one.machines for task in record.tasks for one in task.attempts)
    unknown = [number for number, host in enumerate(hosts) if host.cores is None]
    if placed and unknown:
        nodes = _alike(nodes, unknown)
    told = []
    beyond = [
        f"{node.name} held {what} at once"
        for host, node in zip(hosts, nodes, strict=True)
        if (what := _beyond(host, node))
    ]
    if beyond:
        told.append(f"more is held than there is, and the platform widened: {named(beyond)}")
    if unknown:
        told.append(
            "how large the machines are is not recorded: all have the most that was held on one"
        )
    if not placed:
        told.append("where tasks ran is not recorded: they lie wherever there is room")
    if given is not None and not beyond:
        return given, tuple(told)
    name = name_from(record.name if given is None else given.name)
    return Platform(name, tuple(nodes)), tuple(told)


def _alike(nodes: Sequence[Node], unknown: Sequence[int]) -> list[Node]:
    """Return the nodes, those of unknown size all as large as the largest of them."""
    sizes = [nodes[number] for number in unknown]
    cores = max(1, *(one.cores for one in sizes))
    gpus = max(one.gpus for one in sizes)
    memory_mib = max(one.memory_mib for one in sizes)
    those = set(unknown)
    return [
        Node(node.name, cores, gpus, memory_mib) if number in those else node
        for number, node in enumerate(nodes)
    ]


def _beyond(host: Host, node: Node) -> str:
    pairs = (
        (host.cores, node.cores, "cores"),
        (host.gpus, node.gpus, "GPUs"),
        (host.memory_mib, node.memory_mib, "MiB"),
    )
    return " and ".join(
        f"{held} of {had} {what}" for had, held, what in pairs if had is not None and held > had
    )


def platform_text(platform: Platform) -> str:
    """Return a platform as the YAML that `read_platform` reads."""
    nodes = [
        {
            "name": one.name,
            "cores": one.cores,
            "gpus": one.gpus,
            "memory": one.memory_mib,
            **({"named": dict(one.named)} if one.named else {}),
        }
        for one in platform.nodes
    ]
    values = {"name": platform.name, "nodes": nodes}
    text: str = yaml.safe_dump(values, sort_keys=False, default_flow_style=None)
    return text
