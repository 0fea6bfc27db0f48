"""`make chaos`: a server under load, faults, kills and departures, and the account of it.

A real server on a real port is asked for everything there is, by clients of which some leave, while
the stand-in for YouTube fails in every way it knows and the server's children are killed. In the
end every request must have been answered exactly once and as it should, and the server must be what
it was. `python -m tests.chaos --help`; `soak` tells the order of things, `account` the promises.
"""
