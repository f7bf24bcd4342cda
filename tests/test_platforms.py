"""Platforms by name, from files, and this machine as it is."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from stretto.errors import WorkflowError
from stretto.platform import (
    PRESETS,
    Node,
    Platform,
    check_fits,
    local_cores,
    local_gpus,
    local_memory_mib,
    platform_named,
    ranks_on,
    read_platform,
)
from stretto.resources import Resources
from stretto.workflow import TaskSet, Workflow

FOUR_GPUS = """#!/bin/sh
test "$1" = -L || exit 9
echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-0a000000-1)"
echo "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-0b000000-2)"
echo "GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-1c000000-3)"
echo "  MIG 1g.10gb     Device  0: (UUID: MIG-77)"
echo "GPU 3: NVIDIA H100 80GB HBM3 (UUID: GPU-1d000000-4)"
"""


@pytest.mark.parametrize(
    ("text", "nodes", "cores", "gpus"),
    [
        ("summit:16", 16, 2688, 96),
        ("frontier:2", 2, 112, 16),
        ("perlmutter:4", 4, 256, 16),
        ("polaris", 1, 32, 4),
        ("aurora", 1, 104, 6),
    ],
)
def test_presets_have_the_nodes_of_their_sites(
    text: str, nodes: int, cores: int, gpus: int
) -> None:
    platform = platform_named(text)
    assert (len(platform.nodes), platform.cores, platform.gpus) == (nodes, cores, gpus)
    assert platform.name == (text if ":" in text else f"{text}:1")
    assert not platform.local
    assert len({node.name for node in platform.nodes}) == nodes


def test_presets_say_where_their_numbers_are_from() -> None:
    assert all(preset.source.startswith("https://docs.") for preset in PRESETS.values())


@pytest.mark.parametrize(
    "text",
    [
        *("", ":4", "sumit:4", "local:0", "local:99999"),
        *("summit:", "summit:0", "summit:-1", "summit:x", "summit:1.5", "summit:²"),
        *("summit:1000000", "summit:" + "9" * 5000),
    ],
)
def test_names_that_name_nothing_are_refused(text: str) -> None:
    with pytest.raises(WorkflowError, match=r"expected|there is no"):
        platform_named(text)


def test_an_unknown_machine_lists_the_known_ones() -> None:
    with pytest.raises(WorkflowError) as caught:
        platform_named("sumit:4")
    assert str(caught.value).startswith(
        "there is no platform 'sumit:4'; expected one of summit, frontier, perlmutter, polaris, "
        "aurora, local"
    )


def test_the_preset_of_the_paper_takes_each_set_in_one_wave() -> None:
    node = platform_named("summit").nodes[0]
    assert 16 * ranks_on(node, Resources(cores=16, gpus=1, ranks=96)) == 96
    assert 16 * ranks_on(node, Resources(cores=40, ranks=96)) == 64


def test_this_machine_is_what_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    platform = platform_named("local")
    assert platform.local
    assert (len(platform.nodes), platform.gpus) == (1, 0)
    assert platform.cores == len(os.sched_getaffinity(0)) == len(local_cores())
    assert 0 < platform.nodes[0].memory_mib <= psutil.virtual_memory().total >> 20


def test_cores_outside_our_affinity_are_not_ours() -> None:
    allowed = os.sched_getaffinity(0)
    one = max(allowed)
    os.sched_setaffinity(0, {one})
    try:
        assert platform_named("local").cores == 1
        assert local_cores() == (one,)
    finally:
        os.sched_setaffinity(0, allowed)


def test_more_cores_than_there_are_can_be_declared() -> None:
    platform = platform_named("local:400")
    assert (platform.name, platform.local, platform.cores) == ("local:400", True, 400)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, "0 1 2 3"),
        ("", ""),
        ("-1", ""),
        ("2,0", "2 0"),
        ("1, 3", "1 3"),
        ("0,7,1", "0"),
        ("1,1", "1"),
        ("GPU-1d,GPU-0a000000-1", "3 0"),
        ("GPU-0,1", ""),
        ("nonsense", ""),
    ],
)
def test_gpus_are_those_that_cuda_would_show(
    visible: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(FOUR_GPUS)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert local_gpus() == tuple(expected.split())
    assert platform_named("local").gpus == len(expected.split())


@pytest.mark.parametrize("body", ["#!/bin/sh\nexit 9\n", "#!/nowhere\n", "#!/bin/sh\necho none\n"])
def test_a_broken_driver_means_no_gpus(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(body)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert local_gpus() == ()


@pytest.mark.parametrize(
    ("own", "file", "limit"),
    [
        ("0::/job/step\n", "job/memory.max", "1073741824\n"),
        ("0::/job/step\n", "job/step/memory.max", "1073741824\n"),
        ("0::/\n", "memory.max", "1073741824\n"),
        ("4:memory:/job\n0::/\n", "memory/job/memory.limit_in_bytes", "1073741824\n"),
        ("5:cpu,memory:/gone\n", "memory/memory.limit_in_bytes", "1073741824\n"),
    ],
)
def test_the_memory_of_our_control_group_is_respected(
    own: str, file: str, limit: str, tmp_path: Path
) -> None:
    (tmp_path / "own").write_text(own)
    path = tmp_path / "groups" / file
    path.parent.mkdir(parents=True)
    path.write_text(limit)
    assert local_memory_mib(tmp_path / "groups", tmp_path / "own") == 1024


def test_without_a_limit_memory_is_that_of_the_machine(tmp_path: Path) -> None:
    total = psutil.virtual_memory().total >> 20
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert local_memory_mib(tmp_path, tmp_path / "own") == total
    assert local_memory_mib(tmp_path, tmp_path / "none") == total


def test_a_platform_can_be_written_out(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(
        "name: cluster\n"
        "nodes:\n"
        "  - {name: thin, count: 2, cores: 64, memory: 256 GiB}\n"
        "  - {name: fat, cores: 32, gpus: 4, memory: 1024}\n"
    )
    expected = Platform(
        "cluster",
        (
            Node("thin0", 64, 0, 256 * 1024),
            Node("thin1", 64, 0, 256 * 1024),
            Node("fat", 32, 4, 1024),
        ),
    )
    assert platform_named("cluster.yaml", folder=tmp_path) == expected
    assert platform_named(str(tmp_path / "cluster.yaml")) == expected
    (tmp_path / "cluster.toml").write_text(
        'name = "cluster"\n'
        '[[nodes]]\nname = "thin"\ncount = 2\ncores = 64\nmemory = "256 GiB"\n'
        '[[nodes]]\nname = "fat"\ncores = 32\ngpus = 4\nmemory = 1024\n'
    )
    assert platform_named("cluster.toml", folder=tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: c\n", "c.yaml:1: the key 'nodes' is missing"),
        ("name: c\nnodes: []\n", "c.yaml:2: nodes: expected 1 to 100000 nodes, found 0"),
        (
            "name: c\nnodes:\n  - {cors: 4}\n",
            "c.yaml:3: nodes.0.cors: unknown key 'cors'; did you mean 'cores'?",
        ),
        ("name: c\nnodes:\n  - cores: 4\n    gpus: -1\n", "c.yaml:4: nodes.0.gpus: expected 0 to"),
        ("name: c\nnodes:\n  - {cores: 4, memory: much}\n", "c.yaml:3: nodes.0.memory: expected"),
        (
            "name: c\nnodes:\n  - {cores: 4, count: 99999}\n  - {cores: 4, count: 9}\n",
            "c.yaml:4: nodes.1.count: expected 1 to 100000 nodes in all, found 9",
        ),
        ("nodes:\n  - {cores: .inf}\n", "c.yaml:2: nodes.0.cores: expected a finite number"),
        ("name: c\nnodes: {cores: 4}\n", "c.yaml:2: nodes: expected a list"),
        (
            "name: c\nnodes:\n  - cores: 4\n    named: {licence: -2}\n",
            "c.yaml:4: nodes.0.named.licence: expected 0 to 1000000000, found -2",
        ),
        ("name: c\nnodes:\n  - {cores: 4, named: [a]}\n", "c.yaml:3: nodes.0.named: expected a"),
    ],
)
def test_a_bad_platform_gets_one_line_with_file_and_line(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(WorkflowError) as caught:
        read_platform(path)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_a_missing_platform_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match="there is no such file"):
        platform_named("none.yaml", folder=tmp_path)


def test_an_allocation_of_other_size_has_nodes_like_these() -> None:
    summit = platform_named("summit:4")
    assert summit.with_nodes(2) == platform_named("summit:2")
    grown = summit.with_nodes(9)
    assert (grown.name, grown.cores, grown.gpus) == ("summit:9", 9 * 168, 54)
    odd = Platform("odd", (Node("big", 8, 1, 0), Node("small", 2, 0, 0))).with_nodes(3)
    assert [(node.name, node.cores) for node in odd.nodes] == [("big", 8), ("small", 2), ("n2", 8)]
    with pytest.raises(WorkflowError, match="nodes: expected 1 to"):
        summit.with_nodes(0)


def test_a_task_that_fits_nowhere_is_refused_by_name() -> None:
    platform = platform_named("polaris:2")
    for resources in (
        Resources(cores=33),
        Resources(cores=1, gpus=5),
        Resources(memory="600 GiB"),
        Resources(cores=20, ranks=3),
    ):
        workflow = Workflow("w", [TaskSet("a"), TaskSet("b", resources=resources)])
        with pytest.raises(WorkflowError, match=r"task_sets\.b: a task needs .* polaris:2"):
            check_fits(workflow, platform)
    check_fits(Workflow("w", [TaskSet("a", resources=Resources(cores=16, ranks=4))]), platform)


def test_named_resources_are_those_of_a_node(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "name: c\n"
        "nodes:\n"
        "  - {name: a, count: 2, cores: 4, named: {licence: 3, burst_gib: 0, fpga: 1}}\n"
        "  - {name: b, cores: 8}\n"
    )
    platform = read_platform(tmp_path / "c.yaml")
    held = (("fpga", 1), ("licence", 3))
    assert platform.nodes == (
        Node("a0", 4, 0, 0, held),
        Node("a1", 4, 0, 0, held),
        Node("b", 8, 0, 0),
    )
    assert [platform.named_total(name) for name in ("licence", "fpga", "other")] == [6, 2, 0]
    assert platform.with_nodes(5).named_total("licence") == 12
    assert platform_named("local").nodes[0].named == ()


def test_ranks_need_their_named_resources_on_one_node() -> None:
    node = Node("a", 4, 0, 0, (("licence", 5),))
    assert ranks_on(node, Resources(cores=0, ranks=9, named={"licence": 2})) == 2
    assert ranks_on(node, Resources(cores=3, ranks=9, named={"licence": 2})) == 1
    assert ranks_on(node, Resources(named={"fpga": 1})) == 0
    two = Platform("two", (node, Node("b", 8, 0, 0, (("fpga", 1),))))
    check_fits(Workflow("w", [TaskSet("t", resources=Resources(named={"licence": 5}))]), two)
    for named in ({"licence": 6}, {"licence": 1, "fpga": 1}, {"other": 1}):
        workflow = Workflow("w", [TaskSet("t", resources=Resources(named=named))])
        with pytest.raises(WorkflowError) as caught:
            check_fits(workflow, two)
        needs = ", ".join(f"{amount} {name}" for name, amount in sorted(named.items()))
        assert str(caught.value) == (
            f"task_sets.t: a task needs 1 core, {needs}, which fits on no part of two "
            "(2 nodes of up to 8 cores, 0 GPUs, 0 MiB, 1 fpga, 5 licence)"
        )
