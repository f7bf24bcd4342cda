"""DeepDriveMD: simulate molecules, learn from them, choose where to go on, and again.

The stages are plain functions.  They know nothing of the engine and meet only in files below the
run directory (`places`), written whole or not at all; so any of them can be replaced by a program
or by a function of somebody else's (`replacing`).

=================  ================================================================================
`molecules`        what is simulated, prepared once a run
`simulating`       an ensemble, with OpenMM
`aggregating`      frames as features, with MDTraj
`learning`         the model, with PyTorch
`choosing`         the next starts, with scikit-learn
`configuring`      the configuration: sections, file, fields of commands
`loop`             a configuration as a workflow
`campaign`         runs, and how they go on; `comparing` modes; `starting` configurations
`provenance`       from any frame back to the beginning
`figures`          what runs have found, on one page
=================  ================================================================================

They need ``stretto[deepdrivemd]``; importing this package does not.
"""

from stretto.apps.deepdrivemd.files import StageError

__all__ = ["StageError"]
