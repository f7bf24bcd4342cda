"""An executor in the manner of `concurrent.futures`, with needs, priorities and shares.

`core` drives the engine, `calls` has the futures, `completed` hands them out as they are done.
"""

from stretto.executor.calls import CallFuture
from stretto.executor.completed import Completed
from stretto.executor.core import Executor

__all__ = ["CallFuture", "Completed", "Executor"]
