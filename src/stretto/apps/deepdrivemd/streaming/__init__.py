"""The loop as a stream: all stages are alive at once, and talk through channels.

    simulation ──frames──> aggregation ──blocks──> training ──models──> inference
         ^                      └────────blocks──────────────────────────^   │
         └──────────────────────────────picks─────────────────────────────────┘

Each simulation task runs one simulation of each iteration, one after another, and does not wait for
anybody: between two it takes the newest pick that is meant for it, or else goes on from its own
last frame.  The stages compute what the stages of files compute, and leave the same files, so that
what reads a run need not know how it was made.

What a stage has sent will last: it is in a file before it is sent.  So when a task is killed and
the group is tried again, simulations go on from their checkpoints and send again what they have,
and nothing that was ever chosen has gone.

Nobody waits in a circle.  Picks and models have room for all that there can be in a run, so
inference waits for blocks only, or for a first model, and training for blocks; then blocks and
frames are taken sooner or later, and who sends them may well wait for that.
"""

from stretto.apps.deepdrivemd.streaming.aggregation import stream_aggregate
from stretto.apps.deepdrivemd.streaming.inference import stream_infer
from stretto.apps.deepdrivemd.streaming.simulation import stream_simulate
from stretto.apps.deepdrivemd.streaming.training import stream_train
from stretto.apps.deepdrivemd.streaming.workflow import streaming_workflow

__all__ = [
    "stream_aggregate",
    "stream_infer",
    "stream_simulate",
    "stream_train",
    "streaming_workflow",
]
