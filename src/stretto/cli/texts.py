"""Numbers as people read them."""

from __future__ import annotations

__all__ = ["percent", "printable", "seconds", "share"]


def printable(text: str) -> str:
    """Return text with its control characters written out: what tasks say is not obeyed."""
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)


def seconds(value: float | None) -> str:
    """Return a time in seconds, to a precision that tells something."""
    if value is None:
        return "–"
    return f"{value:,.0f} s" if value >= 1000 else f"{value:.4g} s"


def share(value: float | None) -> str:
    """Return a number such as I with its sign, to three digits."""
    return "–" if value is None else f"{value:+.3f}"


def percent(value: float | None) -> str:
    """Return a share as per cent."""
    return "–" if value is None else f"{value:.1%}"
