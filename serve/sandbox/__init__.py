"""What a child process may still do once it meets strangers' bytes.

Three locks that know nothing of each other: resource limits (`limits`), Landlock for files and
TCP (`landlock`), and a system call filter (`seccomp`). Each is there or not, by kernel and system
(Linux alone has the latter two); a child goes on without what can't be had. So nothing is believed
of them: `measure` tries what is forbidden, and tells what was refused.

A lock can't be opened again, and is inherited by whatever the process starts.
"""
