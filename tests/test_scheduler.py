"""Given these events, expect these launches."""

from __future__ import annotations

import pytest

from stretto.platform import Node, Slot
from stretto.resources import Resources
from stretto.scheduler import (
    TRANSITIONS,
    Cancelled,
    Dropped,
    Event,
    Failed,
    Finished,
    GatedSet,
    Idled,
    ImpossibleEvent,
    Launched,
    Lost,
    Mode,
    Opened,
    Released,
    Resumed,
    Started,
    State,
    Status,
    Submitted,
    Woke,
    critical_path,
    decide,
    diagram,
    gated_sets,
    why,
)
from stretto.workflow import Dependency, Pattern, TaskSet, Workflow, expand

NODE = Node("n0", 4, 2, 1000)


def state_of(
    *sets: TaskSet,
    mode: Mode = Mode.TASK_LEVEL,
    iterations: int = 1,
    nodes: tuple[Node, ...] = (NODE,),
) -> State:
    gated = gated_sets(expand(Workflow("w", sets, iterations=iterations)), mode)
    return State(gated, nodes, critical_path(gated))


def launched(state: State, now_us: int = 0) -> list[int]:
    return [one.task for one in decide(state, now_us)]


def finish(state: State, *tasks: int, at_us: int = 1, took_us: int = 1) -> None:
    for task in tasks:
        state.apply(Started(task, state.attempts[task], at_us - took_us))
        state.apply(Finished(task, state.attempts[task], at_us))


class TestRounds:
    def test_as_many_as_fit_are_launched_and_no_more(self) -> None:
        state = state_of(TaskSet("a", tasks=10))
        assert launched(state) == [0, 1, 2, 3]
        assert launched(state) == []
        finish(state, 2)
        assert launched(state, 1) == [4]

    def test_tasks_that_end_together_are_one_round_so_the_large_one_is_not_passed(self) -> None:
        small = TaskSet("small", tasks=8, resources=Resources(cores=2), duration=1)
        large = TaskSet("large", resources=Resources(cores=4), duration=9)
        state = state_of(small, large)
        assert launched(state) == [8]  # the large one has more behind it
        finish(state, 8)
        assert launched(state, 1) == [0, 1]

    def test_what_has_most_behind_it_goes_first(self) -> None:
        first = TaskSet("first", tasks=4, duration=1)
        head = TaskSet("head", tasks=4, duration=1)
        tail = TaskSet("tail", after="head", duration=5)
        assert launched(state_of(first, head, tail)) == [4, 5, 6, 7]

    def test_a_shape_that_does_not_fit_lets_smaller_ones_pass(self) -> None:
        wide = TaskSet("wide", tasks=2, resources=Resources(cores=3), duration=9)
        thin = TaskSet("thin", tasks=2, duration=1)
        assert launched(state_of(wide, thin)) == [0, 2]

    def test_equal_priorities_go_in_the_order_of_the_description(self) -> None:
        gated = gated_sets(
            expand(Workflow("w", [TaskSet("b", tasks=2, duration=1), TaskSet("a", duration=9)])),
            Mode.TASK_LEVEL,
        )
        state = State(gated, (Node("n", 2, 0, 0),), [0] * len(gated))
        assert launched(state) == [0, 1]


class TestGates:
    def test_all_waits_for_the_last(self) -> None:
        state = state_of(TaskSet("a", tasks=2), TaskSet("b", tasks=2, after="a"))
        assert launched(state) == [0, 1]
        finish(state, 0)
        assert launched(state) == []
        finish(state, 1)
        assert launched(state) == [2, 3]

    def test_each_waits_for_its_own(self) -> None:
        state = state_of(TaskSet("a", tasks=2), TaskSet("b", tasks=2, after={"a": "each"}))
        decide(state, 0)
        finish(state, 1)
        assert launched(state) == [3]

    def test_group_waits_for_its_block(self) -> None:
        state = state_of(TaskSet("a", tasks=4), TaskSet("b", tasks=2, after={"a": "group"}))
        decide(state, 0)
        finish(state, 2, 1)
        assert launched(state) == []
        finish(state, 3)
        assert launched(state) == [5]

    def test_asynchronous_mode_turns_each_into_a_barrier(self) -> None:
        state = state_of(
            TaskSet("a", tasks=2),
            TaskSet("b", tasks=2, after={"a": "each"}),
            mode=Mode.ASYNCHRONOUS,
        )
        decide(state, 0)
        finish(state, 1)
        assert launched(state) == []

    def test_stale_input_too_is_that_of_a_whole_set_in_asynchronous_mode(self) -> None:
        sets = [
            TaskSet("a", tasks=2, resources=Resources(cores=2)),
            TaskSet("b", tasks=2, after=Dependency("a", Pattern.EACH, True, 1)),
        ]
        for mode, used in ((Mode.TASK_LEVEL, 0), (Mode.ASYNCHRONOUS, None)):
            state = state_of(*sets, iterations=2, mode=mode)
            assert launched(state) == [0, 1]
            finish(state, 0)
            assert launched(state) == [2, 3]
            finish(state, 2)
            assert [(one.task, one.inputs) for one in decide(state, 1)] == [(6, (("a", used),))]

    def test_sequential_mode_makes_independent_stages_wait(self) -> None:
        head = TaskSet("head")
        free = TaskSet("free", after="head")
        other = TaskSet("other", after="free")
        aside = TaskSet("aside", after="head")
        state = state_of(head, free, other, aside, mode=Mode.SEQUENTIAL)
        decide(state, 0)
        finish(state, 0)
        assert sorted(launched(state)) == [1, 3]
        finish(state, 1)
        assert launched(state) == []
        finish(state, 3)
        assert launched(state) == [2]

    def test_the_previous_iteration_gates_by_its_distance(self) -> None:
        loop = TaskSet("a", after=Dependency("a", Pattern.ALL, True, staleness=1))
        state = state_of(loop, iterations=4)
        assert launched(state) == [0, 1]
        finish(state, 1)
        assert launched(state) == [3]
        finish(state, 0)
        assert launched(state) == [2]

    def test_stale_input_is_the_newest_that_has_finished(self) -> None:
        sim = TaskSet("sim", after={"infer": {"iteration": "previous", "staleness": 1}})
        infer = TaskSet("infer", after="sim")
        state = state_of(sim, infer, iterations=3)
        first, second = decide(state, 0)
        assert (first.inputs, second.inputs) == ((), (("infer", None),))
        finish(state, 0, 2)
        decide(state, 1)
        finish(state, 1, 3)
        (third,) = decide(state, 2)
        assert third.task == 4
        assert third.inputs == (("infer", 1),)


class TestAttempts:
    def test_a_failed_task_goes_first_again_until_its_retries_are_used(
        self,
    ) -> None:
        state = state_of(TaskSet("a", tasks=6, retries=1))
        decide(state, 0)
        state.apply(Failed(1, 1, 5, "why"))
        assert [(one.task, one.attempt) for one in decide(state, 5)] == [(1, 2)]
        state.apply(Failed(1, 2, 6, "why"))
        assert state.failed() == [1]
        assert launched(state, 6) == [4]
        assert "failed 2 times" in why(state, 1)

    def test_a_late_end_of_an_earlier_attempt_changes_nothing(self) -> None:
        state = state_of(TaskSet("a", retries=1))
        decide(state, 0)
        state.apply(Lost(0, 1, 1, "gone"))
        decide(state, 1)
        state.apply(Finished(0, 1, 2))
        assert state.n_finished == 0
        state.apply(Finished(0, 2, 3))
        assert state.n_finished == 1

    def test_losing_an_attempt_costs_no_retry(self) -> None:
        state = state_of(TaskSet("a"))
        for attempt in (1, 2, 3):
            (one,) = decide(state, attempt)
            assert one.attempt == attempt
            state.apply(Lost(0, attempt, attempt, "gone"))
        assert state.failed() == []

    def test_a_resumed_run_tries_again_what_had_failed(self) -> None:
        state = state_of(TaskSet("a"))
        decide(state, 0)
        state.apply(Failed(0, 1, 1, "why"))
        assert launched(state, 1) == []
        state.apply(Resumed(1))
        assert [(one.task, one.attempt) for one in decide(state, 2)] == [(0, 2)]

    def test_cancelled_attempts_are_ready_again(self) -> None:
        state = state_of(TaskSet("a"))
        decide(state, 0)
        state.apply(Cancelled(0, 1, 1))
        assert state.status[0] == Status.READY

    def test_what_depends_on_a_failure_never_starts_and_the_rest_does(self) -> None:
        state = state_of(TaskSet("a"), TaskSet("b", after="a"), TaskSet("c", tasks=5))
        decide(state, 0)
        state.apply(Failed(0, 1, 1, "why"))
        finish(state, 2, 3, 4)
        assert launched(state, 2) == [5, 6] or launched(state, 2) == []
        finish(state, *state.in_flight())
        assert launched(state, 3) == []
        assert "a[0] (1 of 1 to finish, 1 of them failed for good)" in why(state, 1)


class TestImpossibleEvents:
    @pytest.mark.parametrize(
        "event",
        [
            Finished(0, 1, 0),
            Started(0, 1, 0),
            Failed(0, 1, 0, ""),
            Launched(0, 2, 0, (Slot(0, 1, 0, 0, 0, 1),), 0),
            Launched(1, 1, 0, (Slot(0, 1, 0, 0, 0, 1),), 0),
        ],
    )
    def test_are_refused_with_the_tasks_story(self, event: Event) -> None:
        state = state_of(TaskSet("a"), TaskSet("b", after="a"))
        with pytest.raises(ImpossibleEvent, match=r"(a|b)\[0\]\.0.*(ready|waiting)"):
            state.apply(event)

    def test_slots_cannot_be_taken_twice(self) -> None:
        state = state_of(TaskSet("a", tasks=2))
        (slot,) = (Slot(0, 0b1, 0, 0, 0, 1),)
        state.apply(Launched(0, 1, 0, (slot,), 0))
        with pytest.raises(AssertionError, match="taken twice"):
            state.apply(Launched(1, 1, 0, (slot,), 1))

    def test_a_run_cannot_resume_while_tasks_run(self) -> None:
        state = state_of(TaskSet("a"))
        decide(state, 0)
        with pytest.raises(ImpossibleEvent, match="1 tasks in flight"):
            state.apply(Resumed(0))

    def test_a_running_task_may_wait_and_go_on_in_turn_and_late_marks_change_nothing(self) -> None:
        state = state_of(TaskSet("a", retries=1))
        decide(state, 0)
        with pytest.raises(ImpossibleEvent, match="launched"):
            state.apply(Idled(0, 1, 1))
        for event in (Started(0, 1, 1), Idled(0, 1, 2)):
            state.apply(event)
        assert "says that it waits" in why(state, 0)
        with pytest.raises(ImpossibleEvent):
            state.apply(Idled(0, 1, 3))
        for event in (Woke(0, 1, 3), Idled(0, 1, 4), Failed(0, 1, 5, "x")):
            state.apply(event)
        state.apply(Woke(0, 1, 6))
        assert state.idle == set()
        decide(state, 7)
        state.apply(Started(0, 2, 8))
        with pytest.raises(ImpossibleEvent):
            state.apply(Woke(0, 2, 9))

    def test_every_status_but_the_last_ones_has_a_way_out(self) -> None:
        ways = {before for before, _ in TRANSITIONS}
        assert set(Status) - ways == {Status.DROPPED, Status.FORGIVEN}
        assert "running --> finished: Finished" in diagram()


class TestPlacement:
    def test_cores_and_gpus_are_given_by_number(self) -> None:
        state = state_of(TaskSet("a", tasks=2, resources=Resources(cores=2, gpus=1)))
        one, other = decide(state, 0)
        assert one.placement == (Slot(0, 0b0011, 0b01, 1000, 0, 1),)
        assert other.placement == (Slot(0, 0b1100, 0b10, 1000, 0, 1),)

    def test_fractions_share_a_gpu_before_they_open_another(self) -> None:
        state = state_of(TaskSet("a", tasks=4, resources=Resources(cores=1, gpus=0.4)))
        assert [one.placement[0].gpus for one in decide(state, 0)] == [0b01, 0b01, 0b10, 0b10]

    def test_a_shared_gpu_is_whole_again_when_all_have_left_it(self) -> None:
        half = TaskSet("half", tasks=2, resources=Resources(cores=1, gpus=0.5), duration=9)
        whole = TaskSet("whole", resources=Resources(cores=1, gpus=2), duration=1)
        state = state_of(half, whole)
        assert launched(state) == [0, 1]
        finish(state, 0)
        assert launched(state) == []
        finish(state, 1)
        assert launched(state) == [2]

    def test_ranks_lie_on_several_nodes_all_or_none(self) -> None:
        nodes = (Node("n0", 4, 0, 0), Node("n1", 2, 0, 0))
        wide = TaskSet("wide", resources=Resources(cores=2, ranks=3), duration=9)
        state = state_of(wide, nodes=nodes)
        (one,) = decide(state, 0)
        assert one.placement == (Slot(0, 0b1111, 0, 0, 0, 2), Slot(1, 0b11, 0, 0, 0, 1))
        blocked = state_of(TaskSet("a", duration=99), wide, nodes=nodes)
        assert launched(blocked) == [0]
        assert blocked.slots.free(0)[0] == 3
        finish(blocked, 0)
        assert launched(blocked) == [1]

    def test_memory_limits_too(self) -> None:
        state = state_of(TaskSet("a", tasks=4, resources=Resources(cores=1, memory=400)))
        assert launched(state) == [0, 1]
        assert "200 MiB free" in why(state, 2)

    def test_named_resources_limit_too(self) -> None:
        nodes = (Node("n0", 8, 0, 0, (("fpga", 1), ("licence", 5))), Node("n1", 8, 0, 0))
        state = state_of(
            TaskSet("a", tasks=3, resources=Resources(cores=1, named={"licence": 2}), duration=9),
            TaskSet("b", tasks=2, resources=Resources(cores=0, named={"fpga": 1, "licence": 1})),
            nodes=nodes,
        )
        one, other, third = decide(state, 0)
        assert one.placement == (Slot(0, 0b01, 0, 0, 0, 1, (("licence", 2),)),)
        assert other.placement == (Slot(0, 0b10, 0, 0, 0, 1, (("licence", 2),)),)
        assert third.placement == (Slot(0, 0, 0, 0, 0, 1, (("fpga", 1), ("licence", 1))),)
        assert [state.slots.free_named(0, name) for name in ("fpga", "licence")] == [0, 0]
        assert why(state, 2) == (
            "It is ready and needs 1 core, 2 licence; 0 tasks before it; the freest node that "
            "suits it has 6 cores, 0 whole GPUs, 0 MiB and 0 licence free."
        )
        finish(state, 3)
        assert launched(state, 1) == [4]
        finish(state, 0)
        assert launched(state, 2) == [2]
        finish(state, 1, 2, 4)
        assert [state.slots.free_named(0, name) for name in ("fpga", "licence")] == [1, 5]

    def test_ranks_take_named_resources_where_they_lie(self) -> None:
        nodes = (Node("n0", 4, 0, 0, (("licence", 5),)), Node("n1", 4, 0, 0, (("licence", 2),)))
        wide = TaskSet("wide", tasks=2, resources=Resources(ranks=3, named={"licence": 2}))
        state = state_of(wide, nodes=nodes)
        (one,) = decide(state, 0)
        assert one.placement == (
            Slot(0, 0b11, 0, 0, 0, 2, (("licence", 4),)),
            Slot(1, 0b1, 0, 0, 0, 1, (("licence", 2),)),
        )
        finish(state, 0)
        assert launched(state, 1) == [1]

    def test_a_named_resource_is_not_taken_twice(self) -> None:
        state = state_of(TaskSet("a", tasks=2), nodes=(Node("n0", 4, 0, 0, (("licence", 3),)),))
        state.apply(Launched(0, 1, 0, (Slot(0, 0b1, 0, 0, 0, 1, (("licence", 2),)),), 0))
        for core, name in enumerate(("licence", "fpga"), start=1):
            held = Slot(0, 1 << core, 0, 0, 0, 1, ((name, 2),))
            with pytest.raises(AssertionError, match=f"{name} of node 0 taken twice"):
                state.slots.take((held,))

    def test_a_scattered_rest_is_used(self) -> None:
        thin = TaskSet("thin", tasks=4, duration=9)
        wide = TaskSet("wide", resources=Resources(cores=2), duration=1)
        state = state_of(thin, wide)
        decide(state, 0)
        finish(state, 0, 2)
        (one,) = decide(state, 1)
        assert one.placement[0].cores == 0b0101


class TestBundles:
    def state(self, tasks: int = 1000) -> State:
        calls = GatedSet("calls", Resources(cores=1), 0, tasks, bundles=True)
        return State([calls], (Node("n0", 2, 0, 0),), [0])

    def test_nothing_is_bundled_before_a_duration_was_seen(self) -> None:
        assert len(decide(self.state(), 0)) == 2

    def test_short_tasks_share_slots_one_after_another(self) -> None:
        state = self.state()
        decide(state, 0)
        finish(state, 0, 1, at_us=10)
        launches = decide(state, 20)
        assert len(launches) > 20
        assert len({one.bundle for one in launches}) == 2
        assert state.slots.free(0)[0] == 0
        first = [one.task for one in launches if one.bundle == launches[0].bundle]
        for task in first[:-1]:
            state.apply(Finished(task, 1, 30))
            assert state.slots.free(0)[0] == 0
        state.apply(Finished(first[-1], 1, 31))
        assert state.slots.free(0)[0] == 1

    def test_long_tasks_are_not_bundled(self) -> None:
        state = self.state()
        decide(state, 0)
        finish(state, 0, 1, at_us=50_000, took_us=50_000)
        assert len(decide(state, 60_000)) == 2

    def test_a_lost_bundle_is_launched_again_whole(self) -> None:
        state = self.state(40)
        decide(state, 0)
        finish(state, 0, 1, at_us=2)
        launches = decide(state, 3)
        for one in launches:
            state.apply(Lost(one.task, one.attempt, 4, "worker died"))
        assert state.slots.free(0)[0] == 2
        assert {one.attempt for one in decide(state, 5)} == {2}


class TestStrictLine:
    """The line of a strict order, whatever joins or leaves it."""

    def state(self, *sets: TaskSet) -> State:
        gated = gated_sets(expand(Workflow("w", sets)), Mode.TASK_LEVEL)
        return State(gated, (NODE,), [0] * len(gated), strict=True)

    def test_a_set_that_gets_tasks_joins_it_at_its_place(self) -> None:
        state = self.state(TaskSet("a", tasks=2), TaskSet("b", tasks=9))
        assert launched(state) == [0, 1, 2, 3]
        finish(state, 0, 1)
        state.apply(Submitted(0, 3))
        assert launched(state, 1) == [11, 12]
        finish(state, 2, 3)
        assert launched(state, 2) == [13, 4]

    def test_a_set_whose_tasks_are_dropped_leaves_it(self) -> None:
        wide = TaskSet("wide", tasks=2, resources=Resources(cores=4))
        state = self.state(TaskSet("a"), wide, TaskSet("b"))
        assert launched(state) == [0]
        for task in (1, 2):
            state.apply(Dropped(task))
        assert launched(state, 1) == [3]

    def test_what_had_failed_is_in_line_again_after_a_resume(self) -> None:
        state = self.state(TaskSet("a"), TaskSet("b", tasks=9, resources=Resources(cores=2)))
        assert launched(state) == [0, 1]
        state.apply(Failed(0, 1, 1, "why"))
        assert launched(state, 1) == [2]
        for task in (1, 2):
            state.apply(Cancelled(task, 1, 2))
        state.apply(Resumed(2))
        assert [(one.task, one.attempt) for one in decide(state, 3)] == [(0, 2), (2, 2)]

    def test_what_failed_for_good_holds_nobody_up(self) -> None:
        state = self.state(TaskSet("a"), TaskSet("b", after="a"), TaskSet("c"))
        assert launched(state) == [0]
        state.apply(Failed(0, 1, 1, "why"))
        assert launched(state, 1) == [2]


class TestOpenSets:
    def test_sets_and_tasks_can_come_while_it_runs(self) -> None:
        state = State([], (NODE,), [])
        state.apply(Opened(GatedSet("calls", Resources(cores=2), 0, 0), priority=0))
        assert launched(state) == []
        state.apply(Submitted(0, 3))
        assert launched(state) == [0, 1]
        state.apply(Dropped(2))
        finish(state, 0, 1)
        assert launched(state) == []
        assert state.unfinished[0] == 0
        assert (state.n_finished, state.n_dropped, state.n_tasks) == (2, 1, 3)

    def test_a_dropped_task_that_waited_never_becomes_ready(self) -> None:
        state = state_of(TaskSet("a"), TaskSet("b", tasks=2, after="a"))
        state.apply(Dropped(1))
        decide(state, 0)
        finish(state, 0)
        assert launched(state) == [2]

    def test_what_is_submitted_before_the_gates_open_runs_when_they_do(self) -> None:
        state = state_of(TaskSet("a"))
        state.apply(Opened(GatedSet("calls", Resources(cores=1), 1, 0, gates=1), priority=9))
        state.apply(Submitted(1, 2))
        assert launched(state) == [0]
        state.apply(Dropped(1))
        state.apply(Released(1, 1))
        assert launched(state, 1) == [2]
        state.apply(Submitted(1, 1))
        assert launched(state, 2) == [3]

    def test_tasks_that_come_late_open_no_gate_a_second_time(self) -> None:
        state = state_of(TaskSet("a"), TaskSet("b"), TaskSet("c", after=["a", "b"]))
        assert launched(state) == [0, 1]
        finish(state, 0)
        state.apply(Submitted(0, 1))
        assert launched(state, 1) == [3]
        finish(state, 3)
        assert launched(state, 2) == []  # "c" still waits for "b"
        finish(state, 1)
        assert launched(state, 3) == [2]

    def test_a_launched_task_that_is_dropped_leaves_when_its_attempt_ends(self) -> None:
        state = state_of(TaskSet("a", retries=3), TaskSet("b", after="a"))
        decide(state, 0)
        state.apply(Dropped(0))
        assert state.status[0] == Status.LEAVING
        assert state.n_in_flight == 1
        assert launched(state) == [1], "nobody waits for it anymore"
        state.apply(Started(0, 1, 0))
        state.apply(Failed(0, 1, 1, "it was asked to end"))
        assert state.status[0] == Status.DROPPED
        finish(state, 1)
        assert state.done

    def test_nothing_is_dropped_twice_nor_what_has_finished(self) -> None:
        state = state_of(TaskSet("a", tasks=2))
        decide(state, 0)
        finish(state, 0)
        state.apply(Dropped(1))
        for tasks in (Dropped(0), Dropped(1), Dropped(0, tasks=2)):
            with pytest.raises(ImpossibleEvent, match=r"a\[0\]\.[01]"):
                state.apply(tasks)


def test_why_tells_what_a_ready_task_needs_and_how_many_go_before_it() -> None:
    state = state_of(TaskSet("a", tasks=7))
    decide(state, 0)
    assert why(state, 6) == (
        "It is ready and needs 1 core; 2 tasks before it; the freest node that suits it "
        "has 0 cores, 2 whole GPUs and 1000 MiB free."
    )
