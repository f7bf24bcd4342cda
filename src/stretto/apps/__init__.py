"""Applications of the engine; they use its public names only."""
