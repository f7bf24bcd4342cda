"""Random workflows and platforms for properties, and a world in which things fail."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from stretto.platform import Node, Platform, ranks_on
from stretto.resources import Resources
from stretto.simulator import DrawnWorld
from stretto.workflow import Dependency, Expansion, Pattern, TaskSet, Workflow

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
