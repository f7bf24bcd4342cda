"""The virtual clock."""
