"""The machine itself: the cores this process may use, the memory it may fill, the GPUs it may see.

Nothing else in the library asks the operating system what there is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from stretto.errors import WorkflowError
from stretto.platform.nodes import MOST_CORES_A_NODE, Node, Platform

__all__ = ["local_cores", "local_gpus", "local_memory_mib", "local_platform"]

LONGEST_QUERY_S = 10
"""Limit on the seconds that the GPU driver may take to answer."""

_MIB = 1 << 20
_GPU = re.compile(r"GPU (\d+): .*\(UUID: (GPU-[^)]+)\)")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def local_platform(cores: int | None = None) -> Platform:
    """Return this machine as a platform of one node.

    Parameters
    ----------
    cores
        Cores to declare in place of those detected; more than there are if the user wants to
        oversubscribe.

    Raises
    ------
    WorkflowError
        If `cores` is beyond its limit.
    """
    if cores is not None and not 1 <= cores <= MOST_CORES_A_NODE:
        raise WorkflowError(f"expected 1 to {MOST_CORES_A_NODE} cores, found {cores}")
    name = "local" if cores is None else f"local:{cores}"
    count = len(local_cores()) if cores is None else cores
    return Platform(
        name, (Node("local", count, len(local_gpus()), local_memory_mib()),), local=True
    )


def local_cores() -> tuple[int, ...]:
    """Return the numbers of the cores that this process may use, ascending."""
    return tuple(sorted(os.sched_getaffinity(0)))


def local_memory_mib(cgroups: Path = _CGROUPS, own_cgroups: Path = _OWN_CGROUPS) -> int:
    """Return the memory of this machine in MiB, or what this process is limited to if less."""
    total: int = psutil.virtual_memory().total
    return min([total, *_memory_limits(cgroups, own_cgroups)]) // _MIB


def local_gpus() -> tuple[str, ...]:
    """Return the NVIDIA GPUs that this process may use, each as ``CUDA_VISIBLE_DEVICES`` names it.

    Those that the driver lists; of them only those that ``CUDA_VISIBLE_DEVICES`` names, if it is
    set, in its order and up to the first that is not there, as CUDA itself reads it.
    """
    listed = dict(_listed_gpus())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(listed)
    chosen: list[str] = []
    for word in visible.split(","):
        index = _index(word.strip(), listed)
        if index is None or index in chosen:
            break
        chosen.append(index)
    return tuple(chosen)


def _index(word: str, listed: dict[str, str]) -> str | None:
    """Return the index of the GPU that a word names: by index, or by the start of its UUID."""
    if word in listed:
        return word
    named = [index for index, uuid in listed.items() if uuid.startswith(word)]
    return named[0] if word.startswith("GPU-") and len(named) == 1 else None


def _listed_gpus() -> Iterator[tuple[str, str]]:
    """Yield index and UUID of each GPU that the driver knows; none where there is no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return
    try:
        answer = subprocess.run(
            [program, "-L"],
            capture_output=True,
            text=True,
            timeout=LONGEST_QUERY_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return
    for line in answer.stdout.splitlines():
        if (found := _GPU.match(line)) is not None:
            yield found[1], found[2]


def _memory_limits(cgroups: Path, own_cgroups: Path) -> Iterator[int]:
    """Yield the limits in bytes of the control groups that this process is in."""
    for line in _text(own_cgroups).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            root, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / path.lstrip("/")
        # Inside a container the path may be the host's, which does not exist here: its parents do.
        for folder in [group, *group.parents]:
            if folder != root and root not in folder.parents:
                break
            limit = _text(folder / name).strip()
            if limit.isdecimal():
                yield int(limit)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
