"""What all stages of DeepDriveMD have in common: what fills them, what they need, how they fail."""

from __future__ import annotations

import importlib
import inspect
import pickle
import subprocess
import sys
from typing import Any

import pytest
import yaml

from stretto import WorkflowError
from stretto.apps.deepdrivemd import StageError
from stretto.apps.deepdrivemd.arguments import count, extra
from stretto.apps.deepdrivemd.configuring.reading import parse_configuration
from stretto.apps.deepdrivemd.loop import workflow_of
from stretto.workflow import FIELDS

FILLED = {*FIELDS, "inputs", "finished"}
"""Parameters that the engine fills by name."""


@pytest.mark.parametrize("stage", ["as shipped", "command", "function"])
@pytest.mark.parametrize("strategy", ["outliers", "random"])
def test_arguments_and_fields_fill_every_stage(stage: str, strategy: str) -> None:
    for library in ("openmm", "torch", "sklearn", "mdtraj", "h5py"):
        pytest.importorskip(library)
    given = {"as shipped": {}, "command": {"command": "true"}, "function": {"function": "a:b"}}
    values: dict[str, Any] = {
        name: dict(given[stage]) for name in ("simulation", "aggregation", "model", "inference")
    }
    values["inference"]["strategy"] = strategy
    text = yaml.safe_dump({"system": {"molecule": "hp35"}, **values})
    for task_set in workflow_of(parse_configuration(text)).task_sets:
        work: Any = task_set.work
        module, _, name = work.target.partition(":")
        parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
        named = {name for name, _ in work.arguments}
        assert named <= set(parameters)
        for name, parameter in parameters.items():
            assert name in named | FILLED or parameter.default is not parameter.empty, name


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(WorkflowError, match=r"needs openmm .*stretto\[deepdrivemd\]"):
        extra("openmm")


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
def test_a_number_that_cannot_be_used_is_named(value: object) -> None:
    with pytest.raises(WorkflowError, match="whole number of at least 1") as raised:
        count("simulations", value)
    assert raised.value.path == ("arguments", "simulations")


def test_all_but_the_stages_imports_without_the_extras() -> None:
    names = ("campaign", "comparing", "starting", "provenance", "replacing", "figures", "blocks")
    program = (
        "import sys\n"
        "for one in ('openmm', 'torch', 'sklearn', 'mdtraj', 'h5py', 'matplotlib'):\n"
        "    sys.modules[one] = None\n"
        + "".join(f"import stretto.apps.deepdrivemd.{name}\n" for name in names)
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_errors_survive_the_way_back_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(StageError("diverged")))
    assert (type(error), str(error)) == (StageError, "diverged")
