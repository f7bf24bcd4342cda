"""The scheduler: a pure state machine, events in, launches out."""
