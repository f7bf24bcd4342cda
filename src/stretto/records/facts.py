"""What a record says beyond a journal: kept as ``record.json`` beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stretto.errors import WorkflowError

__all__ = ["FACTS", "Facts", "read_facts"]

FORMAT = 1
"""Version of ``record.json``; another one is refused."""
FACTS = "record.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a record says beyond a journal.

    Parameters
    ----------
    form, source
        The form of the record, and the file it was in.
    order
        The rule by which its engine chose who goes first; `None` where nobody knows.
    worked_us, asked_us
        By serial number of the task: what it was asked to work, and when its first attempt was
        asked for; `None` where the record does not say.
    made_up_starts, made_up_durations
        Tasks of which the journal has a start, or a duration, that the record does not.
    start_us, stop_us
        What the engine took around the run.
    told
        Sentences about what was inferred, left out or mended.
    """

    form: str
    source: str
    order: str | None
    worked_us: tuple[int | None, ...]
    asked_us: tuple[int | None, ...]
    made_up_starts: tuple[int, ...]
    made_up_durations: tuple[int, ...]
    start_us: int | None
    stop_us: int | None
    told: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain values."""
        return {
            "stretto_record": FORMAT,
            "format": self.form,
            "source": self.source,
            "order": self.order,
            "start_us": self.start_us,
            "stop_us": self.stop_us,
            "told": list(self.told),
            "worked_us": list(self.worked_us),
            "asked_us": list(self.asked_us),
            "made_up_starts": list(self.made_up_starts),
            "made_up_durations": list(self.made_up_durations),
        }


def read_facts(directory: Path) -> Facts | None:
    """Return what lies beside the journal of an imported run; `None` for a run of our own.

    Raises
    ------
    WorkflowError
        If it cannot be read, or is of another version.
    """
    path = directory / FACTS
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise WorkflowError(f"cannot be read: {error}", source=str(path)) from None
    match values:
        case {
            "stretto_record": version,
            "format": str(form),
            "source": str(source),
            "order": str() | None as order,
            "start_us": int() | None as start_us,
            "stop_us": int() | None as stop_us,
            "told": list(told),
            "worked_us": list(worked_us),
            "asked_us": list(asked_us),
            "made_up_starts": list(starts),
            "made_up_durations": list(durations),
        } if version == FORMAT and _whole([*worked_us, *asked_us, *starts, *durations]):
            return Facts(
                form=form,
                source=source,
                order=order,
                worked_us=tuple(worked_us),
                asked_us=tuple(asked_us),
                made_up_starts=tuple(starts),
                made_up_durations=tuple(durations),
                start_us=start_us,
                stop_us=stop_us,
                told=tuple(map(str, told)),
            )
        case _:
            raise WorkflowError(
                f"expected the facts of a record, version {FORMAT}", source=str(path)
            )


def _whole(values: Sequence[object]) -> bool:
    return all(one is None or (isinstance(one, int) and one >= 0) for one in values)
