"""Child processes: how they are started, spoken to, watched, held and killed, whatever they do.

Each leads a process group, which is killed as a whole (`process`); it hears from a pipe that its
parent is gone (`parent_watch`); it speaks in frames (`framing`), and what it prints is only logged
(`stderr`).

What one may still do once it meets strangers' bytes is held by three locks that know nothing of
each other: resource limits (`limits`), Landlock for files and TCP (`landlock`), and a system call
filter (`seccomp`). Each is there or not, by kernel and system (Linux alone has the latter two); a
child goes on without what can't be had. So nothing is believed of them: `refused` tries what is
forbidden, and tells what was.

A lock can't be opened again, and is inherited by whatever the process starts.
"""
