"""What holds for every workflow, on workflows that nobody wrote."""

from itertools import combinations, pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from stretto.model import model_of
from stretto.model.antichain import width
from stretto.model.branches import branches_of
from stretto.model.graph import ancestors, descendants, graph_of, longest_path
from stretto.model.makespan import set_times
from stretto.platform import Node, Platform, bits
from stretto.resources import Resources
from stretto.workflow import Dependency, TaskSet, Workflow, expand

PLATFORM = Platform("small", tuple(Node(f"n{i}", 8, 2, 64, (("licence", i),)) for i in range(3)))
SHAPES = [
    Resources(cores=1),
    Resources(cores=5),
    Resources(cores=2, gpus=1),
    Resources(cores=1, gpus=0.3),
    Resources(cores=3, ranks=4),
    Resources(cores=1, memory=40),
    Resources(cores=0, named={"licence": 1}),
]


@st.composite
def task_sets(draw, most=6):
    count = draw(st.integers(1, most))
    sets = []
    for place in range(count):
        same = draw(st.lists(st.integers(0, place - 1), unique=True)) if place else []
        past = draw(st.lists(st.integers(0, count - 1), unique=True, max_size=1))
        staleness = draw(st.integers(0, 2))
        after = [Dependency(f"s{other}") for other in same]
        after += [
            Dependency(f"s{other}", previous=True, staleness=0 if other in same else staleness)
            for other in past
        ]
        sets.append(
            TaskSet(
                f"s{place}",
                tasks=draw(st.integers(1, 12)),
                resources=draw(st.sampled_from(SHAPES)),
                duration=draw(st.integers(0, 9)),
                after=after,
            )
        )
    return sets


@st.composite
def workflows(draw, most=6):
    sets = draw(task_sets(most=most))
    alone = [[task_set.name] for task_set in sets]
    stages = draw(st.sampled_from([alone, None]))
    return Workflow("any", sets, iterations=draw(st.integers(1, 3)), stages=stages)


@given(workflows())
def test_a_rank_is_the_longest_path_from_the_sources(workflow):
    graph = graph_of(expand(workflow))
    for node, gates in enumerate(graph.before):
        assert graph.rank[node] == max((graph.rank[gate] + 1 for gate in gates), default=0)


@given(workflows())
def test_ancestors_and_descendants_are_two_views_of_one_relation(workflow):
    graph = graph_of(expand(workflow))
    up, down = ancestors(graph), descendants(graph)
    pairs = {(early, late) for early, mask in enumerate(down) for late in bits(mask)}
    assert pairs == {(early, late) for late, mask in enumerate(up) for early in bits(mask)}
    assert all((gate, node) in pairs for node, gates in enumerate(graph.before) for gate in gates)
    assert all((node, node) not in pairs for node in range(len(up)))


@given(workflows(most=4))
def test_width_is_the_largest_set_of_which_none_waits_for_another(workflow):
    assume(workflow.iterations < 3)
    graph = graph_of(expand(workflow))
    down = descendants(graph)
    nodes = range(len(down))
    free = {pair for pair in combinations(nodes, 2) if not down[pair[0]] >> pair[1] & 1}
    free = {(a, b) for a, b in free if not down[b] >> a & 1}
    largest = max(
        size
        for size in range(1, len(down) + 1)
        if any(all(p in free for p in combinations(some, 2)) for some in combinations(nodes, size))
    )
    assert width(graph) == largest


@given(workflows())
def test_every_set_is_in_one_branch_and_each_independent_branch_has_one_sink(workflow):
    graph = graph_of(expand(workflow))
    branches = branches_of(graph)
    assert sorted(node for branch in branches for node in branch.members) == list(
        range(len(graph.names))
    )
    independent = [branch for branch in branches if branch.independent]
    assert [sum(node in graph.sinks for node in branch.members) for branch in independent] == [
        1
    ] * len(graph.sinks)


@given(workflows())
def test_degrees_are_in_order(workflow):
    model = model_of(workflow, PLATFORM)
    assert 0 <= model.doa_dep <= model.doa_width
    assert 0 <= model.wla <= min(model.doa_dep, model.doa_res)
    assert len(model.branches) == model.doa_dep + 1


@given(workflows())
def test_bounds_hold_and_asynchronous_is_no_slower_when_each_set_is_a_stage(workflow):
    model = model_of(workflow, PLATFORM)
    assert model.bounds.critical_path_us <= model.t_async_us
    assert model.bounds.critical_path_us <= model.t_seq_ranks_us
    if len(workflow.stages) == len(workflow.task_sets):
        assert model.bounds.best_us <= model.t_seq_us
        assert model.t_seq_ranks_us <= model.t_seq_us
        assert model.t_async_us <= model.t_seq_us


@given(workflows())
def test_asynchronous_is_no_slower_than_ranks_where_branches_lie_below_the_trunk(workflow):
    one = graph_of(expand(workflow.with_iterations(1)))
    trunk = [b for b in branches_of(one) if not b.independent]
    deepest = max((one.rank[node] for b in trunk for node in b.members), default=-1)
    highest = min(one.rank[n] for b in branches_of(one) if b.independent for n in b.members)
    assume(deepest < highest)
    model = model_of(workflow, PLATFORM)
    assert model.t_async_us <= model.t_seq_ranks_us


@given(workflows())
def test_each_masked_set_is_named_once_with_what_hides_it(workflow):
    model = model_of(workflow, PLATFORM)
    names = graph_of(expand(workflow)).names
    masked = [one.name for one in model.masked]
    assert len(masked) == len(set(masked))
    for one in model.masked:
        assert one.name in names
        assert one.by
        assert one.name not in one.by
        assert set(one.by) <= set(names)


@given(workflows())
def test_eq_7_adds_up_what_is_not_masked_in_any_loop(workflow):
    model = model_of(workflow, PLATFORM)
    n = workflow.iterations
    assert len(model.t_k_us) == n
    assert sum((n - k) * t_k for k, t_k in enumerate(model.t_k_us)) == model.t_async_us
    # A set counts in every iteration in which it is not masked, but for equal ones beside it.
    tx = {one.name: one.time_us for one in model.masked}
    assert sum(tx.values()) + model.t_async_us <= sum(set_times(workflow, PLATFORM)) * n


@given(workflows())
def test_ranks_are_the_depths_of_the_graph(workflow):
    model = model_of(workflow, PLATFORM)
    graph = graph_of(expand(workflow))
    rank_of = {name: rank for rank, names in enumerate(model.ranks) for name in names}
    assert len(rank_of) == sum(len(names) for names in model.ranks) == len(graph.names)
    for node, waits in enumerate(graph.before):
        deepest = max((rank_of[graph.names[one]] for one in waits), default=-1)
        assert rank_of[graph.names[node]] == deepest + 1


@given(st.data(), workflows())
def test_the_order_in_which_sets_are_listed_does_not_matter(data, workflow):
    listed = data.draw(st.permutations(workflow.task_sets))
    again = Workflow("any", listed, iterations=workflow.iterations, stages=workflow.stages)
    assert unordered(model_of(again, PLATFORM)) == unordered(model_of(workflow, PLATFORM))


@given(workflows())
def test_the_longest_path_is_a_path_of_that_weight(workflow):
    graph = graph_of(expand(workflow))
    weights = [len(name) * (node % 3) for node, name in enumerate(graph.names)]
    weight, path = longest_path(graph, weights)
    assert sum(weights[node] for node in path) == weight
    assert all(a in graph.before[b] for a, b in pairwise(path))


def unordered(model):
    return (
        (model.doa_dep, model.doa_width, model.doa_res, model.wla),
        {frozenset(branch) for branch in model.branches},
        set(model.trunk),
        {frozenset(rank) for rank in model.ranks},
        {(one.name, one.by, one.time_us) for one in model.masked},
        (model.t_k_us, model.t_seq_c_us, model.t_async_c_us, model.improvement_ranks),
        (model.t_seq_us, model.t_seq_ranks_us, model.t_async_us, model.improvement, model.bounds),
    )
