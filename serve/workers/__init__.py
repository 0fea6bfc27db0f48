"""Child processes: starting, talking to, watching, sandboxing and killing them.

Each child leads a process group, which is killed as a whole (`process`). It watches a pipe to
notice that its parent is gone (`parent_watch`) and exchanges frames with it (`framing`). Its
standard error is only logged (`stderr`).

Before a child handles untrusted input, three independent mechanisms restrict it: resource limits,
Landlock for files and TCP (`landlock`), and a system call filter (`seccomp`). Landlock and seccomp
exist on Linux only, and not in every kernel; a child runs without those that are unavailable. So
`sandbox` does not assume that they work: it enables them, attempts what is forbidden, and reports
which attempts were refused.

Restrictions can't be lifted again, and are inherited by every process that the child starts.
"""
