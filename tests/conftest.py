"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--history-seed", type=int, help="play only this random history (see test_histories.py)"
    )
