"""One file for each implementation. Each has NAME, version() and

    ways(case, arrays) -> [(label, step, fetch)]

The ways in which it can compute a Case (see bench/attention.py), in no order: the driver takes the
fastest. `step()` is what is timed and returns a result, `fetch(result)` makes a float32 array
[batch, heads, queries, dim] (the output or the gradient of q) of it. Raises Unsupported, in words,
if it has no way. An ImportError means that it is not installed.
"""


class Unsupported(Exception):
    pass
