"""Ways to start tasks for real."""
