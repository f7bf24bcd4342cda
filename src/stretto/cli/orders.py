"""An order from the command line: the name of a rule, or a file that holds an order."""

from __future__ import annotations

import json
from pathlib import Path

from stretto.errors import WorkflowError
from stretto.scheduler import RULES, Order

__all__ = ["order_named"]


def order_named(text: str) -> Order:
    """Return the order that a rule's name means, or a JSON file has.

    Parameters
    ----------
    text
        A name in `RULES`; or the path of a file with an order, or with an object that has one
        under ``"order"``, such as a plan.

    Raises
    ------
    WorkflowError
        If it is neither.
    """
    if text in RULES:
        return Order(text)
    try:
        values = json.loads(Path(text).read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(RULES)
        raise WorkflowError(
            f"there is no rule and no file {text!r}; expected {known} or a file", path=("order",)
        ) from None
    except (OSError, ValueError) as error:
        raise WorkflowError(f"expected a JSON file with an order: {error}", source=text) from None
    if isinstance(values, dict) and "order" in values:
        values = values["order"]
    try:
        return Order.from_json(values)
    except WorkflowError as error:
        raise WorkflowError(error.message, path=error.path, source=text) from None
