"""What control groups allow is what is used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serve import container
from serve.container import cpu_quota, memory_limit
from serve.paths import ROOT

V2 = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate"
CPU = "33 32 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
MEMORY = r"34 32 0:32 / /sys/fs/cgroup/my\040memory rw - cgroup cgroup rw,memory"
UNLIMITED = str((1 << 63) - 4096)


@pytest.fixture
def tree(tmp_path):
    """A root with these files under it."""

    def make(groups, mounts, **files):
        for name, text in {
            "proc/self/cgroup": "\n".join(groups),
            "proc/self/mountinfo": "\n".join(mounts),
            **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
        }.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("files", "cpu", "memory"),
    [
        ({}, None, None),
        ({"a/b/cpu.max": "max 100000", "a/b/memory.max": "max"}, None, None),
        ({"a/b/cpu.max": "250000 100000", "a/b/memory.max": "536870912"}, 2.5, 512 << 20),
        # The narrowest of all around it counts.
        ({"a/b/cpu.max": "400000 100000", "a/cpu.max": "150000 100000"}, 1.5, None),
        ({"cpu.max": "50000 100000", "memory.max": "1073741824"}, 0.5, 1 << 30),
        ({"a/b/cpu.max": "nonsense", "a/b/memory.max": ""}, None, None),
    ],
)
def test_version_2(tree, files, cpu, memory):
    root = tree(["0::/a/b"], [V2], **files)
    assert cpu_quota(root) == cpu
    assert memory_limit(root) == memory


@pytest.mark.parametrize(
    ("cpu", "memory", "quota", "limit"),
    [("-1", UNLIMITED, None, None), ("300000", "268435456", 3.0, 256 << 20)],
)
def test_version_1(tree, cpu, memory, quota, limit):
    root = tree(
        ["4:cpu,cpuacct:/docker/x", "3:memory:/docker/x", "0::/"],
        [CPU, MEMORY],
        **{
            "cpu,cpuacct/docker/x/cpu.cfs_quota_us": cpu,
            "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
            "my memory/docker/x/memory.limit_in_bytes": memory,
            "my memory/memory.limit_in_bytes": UNLIMITED,
        },
    )
    assert cpu_quota(root) == quota
    assert memory_limit(root) == limit


def test_a_container_that_sees_its_own_group_as_the_root(tree):
    """The path is the node's, of which only the end is mounted: the mount itself is looked at."""
    files = {"cpu.max": "200000 100000", "memory.max": "4096"}
    root = tree(["0::/kubepods/pod1/x"], [V2], **files)
    assert (cpu_quota(root), memory_limit(root)) == (2.0, 4096)


def test_without_control_groups_nothing_is_limited(tmp_path):
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "allowed", "expected"),
    [(None, 8, 8), (2.5, 8, 2), (0.5, 8, 1), (16.0, 8, 8)],
)
def test_cores_are_whole_and_at_least_one(monkeypatch, quota, allowed, expected):
    monkeypatch.setattr(container, "_own_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)))
    assert container.cores() == expected


@pytest.fixture
def group():
    """A real control group of half a core and 300 MB."""
    made = []
    try:
        for name in ("cpu", "memory"):
            v1 = Path("/sys/fs/cgroup", name, "topgenre-test")
            v1.mkdir()
            made.append(v1)
        (made[0] / "cpu.cfs_period_us").write_text("100000")
        (made[0] / "cpu.cfs_quota_us").write_text("50000")
        (made[1] / "memory.limit_in_bytes").write_text(str(300 << 20))
        yield made
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    finally:
        for folder in made:
            folder.rmdir()


def test_in_a_real_group(group):
    joins = "; ".join(f"echo $$ > {folder}/cgroup.procs" for folder in group)
    asked = "from serve.container import *; print(cores(), memory_limit())"
    found = subprocess.run(
        ["/bin/sh", "-c", f'{joins}; exec "$0" -c "{asked}"', sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["1", str(300 << 20)], found.stderr
