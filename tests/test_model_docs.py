"""What the page on the model says of bounds and of the steady state is so."""

from __future__ import annotations

import re
from pathlib import Path

from stretto.apps.paper import WORKLOADS, workload
from stretto.model import model_of
from stretto.model.refutation import MOST_REFUTED
from stretto.platform import Overheads, platform_named
from stretto.simulator import simulate

TEXT = (Path(__file__).parent.parent / "docs" / "model.md").read_text(encoding="utf-8")
SUMMIT = platform_named("summit:16")


def rows(text: str) -> list[list[str]]:
    """Return the cells of the first table, without its two lines of heading."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()[2:]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


def test_the_bounds_are_those_of_the_model() -> None:
    table = {row[0]: row[1:] for row in rows(TEXT.partition("<!-- bounds -->")[2])}
    assert list(table) == [f"paper:{name}" for name in WORKLOADS]
    for name in WORKLOADS:
        bounds = model_of(workload(name), SUMMIT).bounds
        assert bounds is not None
        times_us = (
            bounds.critical_path_us,
            bounds.area_us("gpus"),
            bounds.energetic_us,
            bounds.counting_us,
            bounds.best_us,
        )
        said = [*(f"{us / 1e6:.0f}" for us in times_us), bounds.binding]
        assert table[f"paper:{name}"] == said


def test_the_names_of_the_bounds_are_those_that_binding_uses() -> None:
    named = [row[0] for row in rows(TEXT.partition("## Lower bounds")[2])]
    kinds = [
        "critical path",
        "area of RESOURCE",
        "waves",
        "energetic reasoning",
        "counting",
        "refutation",
    ]
    assert named == kinds
    assert f"beyond {MOST_REFUTED:,} sets" in TEXT


def test_the_steady_state_of_deepdrivemd() -> None:
    (row, *_) = rows(TEXT.partition("## Steady state")[2])
    steady = model_of(workload("deepdrivemd"), SUMMIT).steady
    assert steady is not None
    assert row[1:] == [
        f"{dict(steady.resource_us)['gpus'] / 1e6:.1f} s (GPUs)",
        f"{steady.recurrence_us / 1e6:.0f} s",
        "GPUs",
        str(steady.enough_staleness),
    ]
    loop = workload("deepdrivemd").at_means().with_iterations(30)
    assert f"takes {simulate(loop, SUMMIT).ttx_us / 30e6:.1f} s an iteration" in TEXT


def test_the_overheads_of_the_records() -> None:
    costs = Overheads(between_us=round(1e6 / 97), task_us=140_000, stage_us=7_350_000)
    model = model_of(workload("deepdrivemd"), SUMMIT, overheads=costs)
    assert model.t_seq_c_us is not None
    assert f"takes {model.t_seq_c_us / 1e6:.0f} s by Eq. 2" in TEXT
