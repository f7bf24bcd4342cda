"""Calls with different needs on one machine, in the manner of `concurrent.futures`."""

import os

from stretto import Executor


def threads() -> str:
    """Return the number of threads that libraries are told to use in this call."""
    return os.environ["OMP_NUM_THREADS"]


def main() -> None:
    """Call functions that need one core, two cores, and one that fails."""
    with Executor("local:2") as executor:
        squares = [executor.submit(lambda x: x * x, number) for number in range(5)]
        wide = executor.submit(threads, cores=2)
        wrong = executor.submit(int, "seven")
        print("squares:", [future.result() for future in squares])
        print("threads of a call with two cores:", wide.result())
        print("a failed call:", repr(wrong.exception()))


if __name__ == "__main__":
    main()
