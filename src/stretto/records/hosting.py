"""Where a record's tasks ran: its machines, and the platform that they make.

A record may list its machines with their sizes, only name them with its tasks, or say nothing.
What is not said is taken to be as large as the most that was held at once; what is said, and was
passed all the same, is widened and told.
"""

from __future__ import annotations

import re

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
    return [Host(one.name, one.cores, one.gpus, one.memory_mib) for one in given.nodes], known


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key by which ``node10`` comes behind ``node9``."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(one), one) if one.isdecimal() else (0, 0, one) for one in parts]


def platform_of(
    record: Record, given: Platform | None, ledger: Ledger
) -> tuple[Platform, tuple[str, ...]]:
    """Return what the record shows of where it ran, and sentences about that."""
    hosts = ledger.hosts or [Host("node0", 1)]
    nodes = tuple(host.node() for host in hosts)
    told = []
    beyond = [
        f"{node.name} held {what} at once"
        for host, node in zip(hosts, nodes, strict=True)
        if (what := _beyond(host, node))
    ]
    if beyond:
        told.append(f"more is held than there is, and the platform widened: {named(beyond)}")
    if any(host.cores is None for host in hosts):
        told.append(
            "how large the machines are is not recorded: each has the most that was held at once"
        )
    if not any(one.machines for task in record.tasks for one in task.attempts):
        told.append("where tasks ran is not recorded: they lie wherever there is room")
    if given is not None and not beyond:
        return given, tuple(told)
    name = name_from(record.name if given is None else given.name)
    return Platform(name, nodes), tuple(told)


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
        {"name": one.name, "cores": one.cores, "gpus": one.gpus, "memory": one.memory_mib}
        for one in platform.nodes
    ]
    values = {"name": platform.name, "nodes": nodes}
    text: str = yaml.safe_dump(values, sort_keys=False, default_flow_style=None)
    return text
