"""The CPU: always there, and the fallback of all others."""

from serve.inference.providers.base import ExecutionProvider

PROVIDER = ExecutionProvider(
    runtime_name="CPUExecutionProvider",
    # Padding would cost as much as clips do, and a new size costs nothing.
    pads=False,
    loops=True,
    # A clip costs the same in a batch of 8 as of 64, and sharing makes the first track wait for the
    # last.
    shared_clips=16,
    tried_clips=tuple(2**n for n in range(10)),
)
