"""The folder of data that nobody here wrote, beside some parent of the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = next(
    (parent / "shared" for parent in ROOT.parents if (parent / "shared").is_dir()),
    ROOT.parent / "shared",
)


def needs(*parts: str) -> pytest.MarkDecorator:
    """Skip a test unless the shared folder has this."""
    path = SHARED.joinpath(*parts)
    return pytest.mark.skipif(not path.exists(), reason=f"there is no shared {'/'.join(parts)}")
