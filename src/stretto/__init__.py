"""Plan, simulate and run ML-driven HPC workflows asynchronously."""
