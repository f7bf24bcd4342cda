"""The command line."""

from stretto.cli.app import main

__all__ = ["main"]
