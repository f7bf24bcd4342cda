"""Random workflows and platforms for properties, and a world in which things fail."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from stretto.errors import WorkflowError
from stretto.platform import Node, Platform, ranks_on
from stretto.resources import Resources
from stretto.scheduler import check_room
from stretto.simulator import DrawnWorld
from stretto.workflow import (
    Dependency,
    Expansion,
    Pattern,
    TaskSet,
    Workflow,
    workflow_from_mapping,
    workflow_to_mapping,
)

NAMED = st.tuples(
    *(st.tuples(st.just(name), st.sampled_from([0, 0, 2, 5])) for name in ("fpga", "licence"))
)
NOISY = st.fixed_dictionaries({"mean": st.integers(1, 20), "sd": st.integers(0, 9)})


@st.composite
def platforms(draw: st.DrawFn) -> Platform:
    nodes = draw(
        st.lists(
            st.tuples(
                st.integers(1, 9),
                st.integers(0, 3),
                st.integers(0, 64),
                st.one_of(st.just(()), NAMED),
            ),
            min_size=1,
            max_size=4,
        )
    )
    return Platform(
        "drawn",
        tuple(Node(f"n{number}", *offers) for number, offers in enumerate(nodes)),
    )


@st.composite
def shapes(draw: st.DrawFn, platform: Platform) -> Resources:
    """Needs that the platform can meet."""
    offered = sorted({pair for node in platform.nodes for pair in node.named})
    named = {name: draw(st.integers(0, amount)) for name, amount in offered}
    shape = Resources(
        named=named,
        cores=draw(st.integers(0 if any(named.values()) else 1, 6)),
        gpus=draw(st.sampled_from([0, 0, 0.25, 0.5, 0.4, 1, 2])),
        memory=draw(st.sampled_from([0, 0, 1, 16])),
        ranks=draw(st.sampled_from([1, 1, 1, 2, 3])),
    )
    fits = sum(ranks_on(node, shape) for node in platform.nodes) >= shape.ranks
    return shape if fits else Resources(cores=1)


@st.composite
def workflows(draw: st.DrawFn, platform: Platform) -> Workflow:
    sets: list[TaskSet] = []
    for number in range(draw(st.integers(1, 5))):
        tasks = draw(st.integers(1, 7))
        after = [
            Dependency(one.name, _pattern(draw, tasks, one.tasks))
            for one in sets
            if draw(st.booleans())
        ]
        if draw(st.booleans()):
            on = draw(st.sampled_from([*sets, None]))
            pattern = Pattern.ALL if on is None else _pattern(draw, tasks, on.tasks)
            name = f"s{number}" if on is None else on.name
            staleness = 0 if name in {one.on for one in after} else draw(st.integers(0, 2))
            after.append(Dependency(name, pattern, True, staleness))
        sets.append(
            TaskSet(
                f"s{number}",
                tasks=tasks,
                resources=draw(shapes(platform)),
                duration=draw(st.one_of(st.integers(0, 30), NOISY)),
                after=after,
                retries=draw(st.integers(0, 2)),
                failures=draw(st.sampled_from([0, 0, 1, 2, "30%"])),
            )
        )
    return Workflow("drawn", sets, iterations=draw(st.integers(1, 4)))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Workflow, Platform]:
    platform = draw(platforms())
    return draw(workflows(platform)), platform


@st.composite
def grouped(draw: st.DrawFn) -> tuple[Workflow, Platform, frozenset[tuple[int, int]]]:
    """Draw a workflow some of whose sets run at once, a platform with room, and what fails."""
    flow = draw(workflows(draw(platforms())))
    roomy = Node("roomy", cores=draw(st.integers(60, 200)), gpus=40, memory_mib=4096)
    roomy = replace(roomy, named=(("fpga", 99), ("licence", 99)))
    platform = Platform("roomy", (roomy,) * draw(st.integers(1, 2)))
    names = [one.name for one in flow.task_sets]
    for one, other in draw(st.lists(st.tuples(*[st.sampled_from(names)] * 2), max_size=3)):
        with suppress(WorkflowError):  # joined in a way that cannot be, so it is left out
            tried = joined(flow, one, other)
            check_room(tried, platform)
            flow = tried
    failing = draw(st.frozensets(st.tuples(st.integers(0, 60), st.integers(1, 2)), max_size=6))
    return flow, platform, failing


def joined(flow: Workflow, one: str, other: str) -> Workflow:
    """Return the workflow with two sets joined that do not wait for each other directly."""
    mapping = workflow_to_mapping(flow)
    sets, pair = mapping["task_sets"], (one, other)
    for name in pair:
        after = sets[name].get("after", [])
        listed = after if isinstance(after, list) else [{on: how} for on, how in after.items()]
        sets[name]["after"] = [
            each
            for each in listed
            if not any(on in pair and "iteration" not in str(how) for on, how in each.items())
        ]
        sets[name].pop("failures", None)
    sets[one]["with"] = [*sets[one].get("with", []), other]
    del mapping["stages"]
    return workflow_from_mapping(mapping)


def _pattern(draw: st.DrawFn, consumers: int, producers: int) -> Pattern:
    allowed = [Pattern.ALL]
    if consumers == producers:
        allowed.append(Pattern.EACH)
    if consumers <= producers:
        allowed.append(Pattern.GROUP)
    return draw(st.sampled_from(allowed))


@dataclass
class FailingWorld:
    """Attempts that are named fail; durations are those of a seed."""

    expansion: Expansion
    seed: int
    failing: frozenset[tuple[int, int]] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        self._drawn = DrawnWorld(self.expansion, self.seed)

    def outcome(self, task: int, attempt: int) -> tuple[int, str | None]:
        duration_us, _ = self._drawn.outcome(task, attempt)
        return duration_us, "it was told to" if (task, attempt) in self.failing else None
