"""What runs inside a worker process.

A worker is a fresh interpreter that imports this folder by itself, as the top-level package
``stretto_worker``, and nothing else of ours: so it is up as soon as Python is.  Hence relative
imports, and no import but the standard library (and cloudpickle, once ``sys.path`` is known).
"""
