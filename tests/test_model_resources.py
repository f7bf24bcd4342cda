"""Fitting is placement on nodes, TX counts waves, and what cannot be is said clearly."""

import pytest

from stretto.errors import WorkflowError
from stretto.model import improvement, model_of
from stretto.model.doa import EXACT_BRANCHES
from stretto.model.makespan import waves
from stretto.model.packing import Load, empty_nodes, placed, room
from stretto.model.prediction import MOST_INSTANCES
from stretto.platform import Node, Platform
from stretto.resources import Resources
from stretto.workflow import Dependency, TaskSet, Workflow

TWO = Platform("two", (Node("a", 10, 2, 1000), Node("b", 10, 2, 1000)))
NODES = empty_nodes(TWO)


def fits(nodes, loads):
    return placed(nodes, loads) is not None


def together(*needs):
    """DOA_res of independent sets, each ``(tasks, resources)``."""
    sets = [TaskSet(f"s{i}", tasks=n, resources=shape) for i, (n, shape) in enumerate(needs)]
    return model_of(Workflow("together", sets), TWO).doa_res


class TestPlacement:
    def test_sums_that_fit_on_no_node_do_not_fit(self):
        six = Resources(cores=6)
        assert fits(NODES, [Load(six, 2)])
        assert not fits(NODES, [Load(six, 3)])
        assert together((1, six), (1, six), (1, six)) == 1

    def test_ranks_of_a_task_lie_on_several_nodes(self):
        assert room(NODES, Resources(cores=5, ranks=4)) == 1
        assert room(NODES, Resources(cores=4, ranks=3)) == 1
        assert not fits(NODES, [Load(Resources(cores=6, ranks=3), 1)])
        assert together((1, Resources(cores=5, ranks=3)), (1, Resources(cores=5))) == 1

    def test_a_rank_lies_on_one_node_whole(self):
        with pytest.raises(WorkflowError, match="fits on no part"):
            together((1, Resources(cores=11)))

    def test_gpus_are_shared_only_in_fractions_that_fit_one(self):
        assert room(NODES, Resources(cores=0, gpus=0.4)) == 8
        assert fits(NODES, [Load(Resources(cores=1, gpus=0.6), 4), Load(Resources(gpus=0.4), 4)])
        assert not fits(NODES, [Load(Resources(cores=1, gpus=0.6), 5)])
        assert not fits(NODES, [Load(Resources(gpus=2), 1), Load(Resources(gpus=0.6), 3)])

    def test_memory_counts(self):
        assert room(NODES, Resources(memory=400)) == 4

    def test_named_resources_count(self):
        nodes = (
            Node("a", 10, 2, 1000, (("fpga", 1), ("licence", 5))),
            Node("b", 10, 2, 1000, (("licence", 1),)),
        )
        named = empty_nodes(Platform("named", nodes))
        assert room(named, Resources(cores=0, named={"licence": 1})) == 6
        assert room(named, Resources(cores=4, named={"licence": 1})) == 3
        assert room(named, Resources(cores=0, named={"licence": 2})) == 2
        assert room(named, Resources(named={"fpga": 1, "licence": 1}, ranks=2)) == 0
        pair = [Load(Resources(named={"licence": 2}), 2), Load(Resources(named={"licence": 1}), 2)]
        assert fits(named, pair)
        assert not fits(named, [*pair, Load(Resources(named={"licence": 1}), 1)])
        # By sums there is one left of each, but on different nodes.
        assert not fits(named, [*pair[:1], Load(Resources(named={"fpga": 1, "licence": 2}), 1)])
        # Tasks of ten cores on the first node would leave no cores beside its FPGA.
        assert fits(named, [Load(Resources(cores=10), 1), Load(Resources(named={"fpga": 1}), 1)])

    def test_tasks_that_need_gpus_are_placed_first(self):
        # Eight-core tasks on the first nodes would leave no cores beside the GPUs there.
        assert fits(NODES, [Load(Resources(cores=8), 2), Load(Resources(cores=1, gpus=1), 4)])

    def test_unequal_nodes(self):
        nodes = empty_nodes(Platform("odd", (Node("a", 10, 0, 0), Node("b", 3, 1, 0))))
        assert room(nodes, Resources(cores=3)) == 4
        assert room(nodes, Resources(cores=3, gpus=1)) == 1


class TestDOARes:
    def test_one_at_a_time_is_degree_0(self):
        assert together((2, Resources(cores=10)), (1, Resources(cores=1))) == 0
        assert together((100, Resources(cores=10))) == 0

    def test_a_branch_that_does_not_fit_is_left_out_for_one_that_does(self):
        cores, gpus = Resources(cores=1), Resources(cores=1, gpus=1)
        # Of 20 cores and 4 GPUs: 11 + 12 cores are too many, 11 cores beside 3 GPUs are not.
        assert together((11, cores), (12, cores), (3, gpus)) == 1

    def test_every_subset_is_tried_where_branches_are_few(self):
        both, cores, gpus = Resources(cores=5, gpus=1), Resources(cores=1), Resources(gpus=1)
        # The first needs fewest (half of both kinds) and fits beside none; the others fit.
        needs = [(2, both), (12, cores), (3, gpus)]
        assert together(*needs) == 1
        assert together(*needs[:2]) == together(needs[0], needs[2]) == 0

    def test_many_branches_take_fewest_resources_first(self):
        needs = [(1, Resources(cores=1 + (i > 15))) for i in range(EXACT_BRANCHES + 20)]
        assert together(*needs) == 16 + 2 - 1

    def test_shares_of_named_resources_count_too(self):
        one = Platform("one", (Node("n", 100, 0, 0, (("licence", 20),)),))
        few = [Resources(cores=2, named={"licence": 1})] * 20
        # The first has fewest cores, but all of the licences.
        shapes = [Resources(named={"licence": 20}), *few]
        sets = [TaskSet(f"s{at}", resources=shape) for at, shape in enumerate(shapes)]
        assert len(sets) > EXACT_BRANCHES
        assert model_of(Workflow("together", sets), one).doa_res == 20 - 1

    def test_only_sets_of_one_rank_count(self):
        sets = [
            TaskSet("a", resources=Resources(cores=10)),
            TaskSet("b", resources=Resources(cores=10), after="a"),
            TaskSet("c", tasks=2, resources=Resources(cores=10)),
        ]
        model = model_of(Workflow("ranks", sets), TWO)
        assert (model.doa_dep, model.doa_res, model.wla) == (1, 0, 0)


class TestTimes:
    def test_a_set_larger_than_the_allocation_takes_waves(self):
        sets = [TaskSet("a", tasks=9, resources=Resources(cores=5), duration=10)]
        workflow = Workflow("waves", sets)
        assert waves(workflow, TWO) == (3,)
        model = model_of(workflow, TWO)
        assert model.t_seq_us == model.t_async_us == 30_000_000
        assert model.bounds.area_us("cores") == 22_500_000

    def test_named_resources_take_waves(self):
        one = Platform("one", (Node("n", 0, 0, 0, (("licence", 7),)),))
        shape = Resources(cores=0, named={"licence": 2})
        workflow = Workflow("waves", [TaskSet("a", tasks=10, resources=shape, duration=10)])
        assert waves(workflow, one) == (4,)
        assert model_of(workflow, one).t_seq_us == 40_000_000

    def test_a_diamond_takes_its_longer_arm(self):
        sets = [
            TaskSet("a", duration=1),
            TaskSet("b", duration=2, after="a"),
            TaskSet("c", duration=5, after="a"),
            TaskSet("d", duration=1, after=["b", "c"]),
        ]
        model = model_of(Workflow("diamond", sets, stages=[[s.name] for s in sets]), TWO)
        assert (model.t_seq_us, model.t_seq_ranks_us, model.t_async_us) == (
            9_000_000,
            7_000_000,
            7_000_000,
        )
        # The shorter arm runs beside the longer one, and adds nothing.
        assert [(one.name, one.by, one.time_us) for one in model.masked] == [
            ("b", ("c",), 2_000_000)
        ]

    def test_an_arm_of_several_sets_is_hidden_by_what_runs_beside_it(self):
        sets = [
            TaskSet("a", duration=1),
            TaskSet("b", duration=1, after="a"),
            TaskSet("c", duration=1, after="b"),
            TaskSet("d", duration=2, after="a"),
            TaskSet("e", duration=3, after="d"),
            TaskSet("f", duration=1, after=["c", "e"]),
            TaskSet("g", duration=9, after="a"),
        ]
        model = model_of(Workflow("arms", sets), TWO)
        assert model.branches == (("b", "c", "d", "e", "f"), ("g",))
        assert [(one.name, one.by) for one in model.masked] == [
            (name, ("g",)) for name in ("b", "c", "d", "e", "f")
        ]
        shorter = model_of(Workflow("arms", sets[:-1]), TWO)
        assert [(one.name, one.by) for one in shorter.masked] == [
            ("b", ("d", "e")),
            ("c", ("d", "e")),
        ]

    def test_pacemakers_that_fit_together_hide_each_other(self):
        loop = Workflow("loop", [TaskSet("a", tasks=10, duration=7)], iterations=4)
        model = model_of(loop, TWO)
        # Two of four fit at once: two ranks, each with a pair.
        assert [(one.name, one.by) for one in model.masked] == [
            ("a[0]", ("a[1]",)),
            ("a[2]", ("a[3]",)),
        ]
        assert model.t_async_us == 14_000_000 == model.bounds.best_us

    def test_a_set_that_needs_all_cores_is_not_hidden_by_one_that_needs_some(self):
        sets = [
            TaskSet("long", tasks=5, duration=9, after=Dependency("long", previous=True)),
            TaskSet("wide", tasks=20, duration=2, after="long"),
        ]
        model = model_of(Workflow("loop", sets, iterations=3), TWO)
        assert model.masked == ()
        assert model.t_async_us == model.t_seq_us

    def test_a_set_that_needs_all_licences_is_not_hidden_by_one_that_needs_some(self):
        platform = Platform("p", (Node("n", 8, 0, 0, (("licence", 2),)),))

        def masked(licences):
            sets = [
                TaskSet(
                    "long",
                    resources=Resources(named={"licence": licences}),
                    duration=9,
                    after=Dependency("long", previous=True),
                ),
                TaskSet(
                    "short",
                    tasks=2,
                    resources=Resources(named={"licence": 1}),
                    duration=2,
                    after="long",
                ),
            ]
            model = model_of(Workflow("loop", sets, iterations=3), platform)
            return [one.name for one in model.masked]

        assert masked(0) == ["short[0]", "short[1]"]
        assert masked(1) == []

    def test_an_iteration_that_forks_is_asynchronous_in_every_turn(self):
        sets = [
            TaskSet("a", duration=5, after=Dependency("c", previous=True)),
            TaskSet("b", duration=3, after="a"),
            TaskSet("c", duration=4, after="a"),
        ]
        model = model_of(Workflow("loop", sets, iterations=2, stages=[[s.name] for s in sets]), TWO)
        assert (model.t_seq_us, model.t_async_us) == (24_000_000, 18_000_000)
        assert [(one.name, one.by) for one in model.masked] == [
            ("b[0]", ("c[0]",)),
            ("b[1]", ("c[1]",)),
        ]

    def test_unknown_durations_leave_the_degrees(self):
        sets = [TaskSet("a", duration=3), TaskSet("b")]
        model = model_of(Workflow("unknown", sets), TWO)
        assert (model.doa_dep, model.doa_res, model.wla) == (1, 1, 1)
        assert model.t_seq_us is model.t_seq_ranks_us is model.t_async_us is None
        assert model.t_seq_c_us is model.t_seq_ranks_c_us is model.t_async_c_us is None
        assert model.improvement is model.improvement_ranks is model.improvement_c is None
        assert model.bounds is model.steady is None
        assert model.masked == model.t_k_us == ()

    def test_no_time_at_all_has_no_improvement(self):
        assert improvement(0, 0) is None
        assert model_of(Workflow("none", [TaskSet("a", duration=0)]), TWO).improvement is None

    def test_a_loop_beyond_the_limit_is_refused(self):
        loop = Workflow("long", [TaskSet("a")], iterations=MOST_INSTANCES + 1)
        with pytest.raises(WorkflowError, match="at most 20000") as caught:
            model_of(loop, TWO)
        assert caught.value.path == ("iterations",)
