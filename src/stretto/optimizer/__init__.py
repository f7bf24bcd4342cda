"""Shorter schedules than any rule gives, as orders that engines keep; and proven bounds."""
