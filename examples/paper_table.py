"""The model's numbers for the paper's workloads, and the same simulated.

The workloads are those of arXiv 2208.11069 on 16 nodes of Summit, as printed and as really run.
Formulas and simulation both take mean durations and no overhead, so that they can be compared.
"""

from stretto import Mode, plan
from stretto.apps.paper import WORKLOADS, workload

COLUMNS = ("DOA_dep", "width - 1", "DOA_res", "WLA", "t_seq", "t_seq ranks", "t_async", "I")
MODES = tuple(Mode)


def row(name: str) -> list[str]:
    """Return one workload's numbers, in the order of the columns and the modes; times in s."""
    made = plan(workload(name).at_means())
    values = made.to_json()
    degrees = [str(values[key]) for key in ("doa_dep", "doa_width", "doa_res", "wla")]
    times = [f"{values[key]:.0f}" for key in ("t_seq_s", "t_seq_ranks_s", "t_async_s")]
    simulated = [f"{values['simulated'][mode]['at_means_s']:.0f}" for mode in MODES]
    return [*degrees, *times, f"{values['improvement']:.3f}", *simulated]


def main() -> None:
    """Print the table."""
    lines = [["workload", *COLUMNS, *MODES]]
    lines += [[name, *row(name)] for name in WORKLOADS]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


if __name__ == "__main__":
    main()
