"""Running for real: the clock, the engine and its backends."""
