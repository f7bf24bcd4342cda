"""Python functions in warm worker processes.

`pool` keeps the workers, `link` is our end of one, `encoder` makes calls fit to be sent, and
`stretto_worker` is what runs in the worker itself.
"""
