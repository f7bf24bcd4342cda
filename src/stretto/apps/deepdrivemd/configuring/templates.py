"""Words of a command with fields in braces: which there are for which stage, and what they become.

All numbers are those on disk, also in a run that continues another one, and all paths absolute, so
that a command needs to know nothing of where things lie.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from stretto import WorkflowError
from stretto.apps.deepdrivemd.configuring.configuration import SECTION_OF, Configuration

__all__ = ["FIELDS", "FILES", "INPUTS", "check_words", "filled"]

FIELDS = {
    "task": "number of the task in the iteration, from 0",
    "iteration": "number of the iteration, from 0",
    "attempt": "number of the attempt, from 1",
    "seed": "a seed of this task's own, the same in every attempt and mode",
    "cores": "cores of the task",
    "gpus": "GPUs of the task",
    "simulations": "simulations of an iteration",
    "blocks": "blocks of an iteration",
    "run_dir": "directory of the run",
    "task_dir": "a directory of the task's own, kept from attempt to attempt",
    "data": "folder of what the iteration leaves",
    "configuration": "the configuration, all defaults filled in",
    "topology": "the structure that the run began with, a PDB file",
    "system": "OpenMM's system, an XML file",
}
"""What a field of any stage stands for."""

FILES = {
    "simulation": {
        "start": "the structure to start from, a PDB file",
        "trajectory": "frames, to be written",
        "record": "where they came from, to be written",
    },
    "aggregation": {"block": "features of its simulations, to be written"},
    "training": {
        "model": "weights of the model, to be written",
        "loss": "loss curves, to be written",
        "before": "weights of the model before, or none",
    },
    "inference": {
        "model": "weights of the model to use, or none",
        "inference": "what was chosen and why, to be written",
    },
}
"""What further fields of each task set stand for."""

INPUTS = {
    "simulation": ("inference",),
    "aggregation": ("simulation",),
    "training": ("aggregation", "training"),
    "inference": ("training", "aggregation"),
}
"""Sets of which a field ``inputs.NAME`` says the iteration that is used, or none."""

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check_words(configuration: Configuration) -> None:
    """Raise `WorkflowError` if a command has a field that its stage does not know."""
    for name, stage in configuration.stages.items():
        inputs = [f"inputs.{one}" for one in INPUTS[name]]
        known = dict.fromkeys([*FIELDS, *FILES[name], *inputs], "")
        for number, word in enumerate(stage.command or ()):
            try:
                filled(word, known)
            except WorkflowError as error:
                raise error.within(SECTION_OF[name], "command", number) from None


def filled(word: str, fields: Mapping[str, object]) -> str:
    """Return a word with its fields replaced; ``{{`` and ``}}`` are braces.

    Raises
    ------
    WorkflowError
        If a field is not among `fields`, or a brace is left over.
    """

    def value(match: re.Match[str]) -> str:
        text, name = match[0], match[1]
        if text in ("{{", "}}"):
            return text[0]
        if name is None:
            raise WorkflowError(f"a brace is left over in {word!r}; {text * 2} is a brace")
        if name not in fields:
            near = get_close_matches(name, fields, n=1)
            known = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(fields)}"
            raise WorkflowError(f"there is no field {{{name}}}; {known}")
        return str(fields[name])

    return _FIELD.sub(value, word)
