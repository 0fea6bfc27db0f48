import asyncio
import multiprocessing
import os
import sqlite3
import stat
import time
import zlib
from typing import Any

import pytest

from serve.cache.disk import DiskStore
from serve.cache.store import MAX_VALUE_BYTES, StoreError

LIMITS = {"max_bytes": 1 << 20, "max_entries": 100, "max_age_s": 3600}
FILE = "answers.sqlite"


@pytest.fixture
async def store(tmp_path):
    store = DiskStore(tmp_path / "cache", **LIMITS)
    yield store
    await store.close()


async def test_what_is_put_can_be_got(store):
    await store.open()
    assert await store.get("a") is None
    await store.put("a", b"one")
    await store.put("a", b"two")
    value, age_s = await store.get("a")
    assert value == b"two"
    assert 0 <= age_s < 60
    assert store.entries == 1


async def test_it_outlives_the_process(tmp_path, store):
    await store.put("a", b"one")
    await store.close()
    again = DiskStore(tmp_path / "cache", **LIMITS)
    await again.open()
    assert again.entries == 1
    assert (await again.get("a"))[0] == b"one"
    await again.close()


async def test_two_servers_share_a_folder(tmp_path, store):
    other = DiskStore(tmp_path / "cache", **LIMITS)
    await asyncio.gather(*(one.open() for one in (store, other)))
    await asyncio.gather(
        *(one.put(f"{n}{i}", b"v" * 999) for n, one in enumerate((store, other)) for i in range(20))
    )
    for one in (store, other):
        for key in ("00", "019", "10", "119"):
            assert (await one.get(key))[0] == b"v" * 999
    await other.close()


async def test_servers_that_start_together_wait_for_each_other(tmp_path):
    # By chance two change a new file's journal at the same time: then SQLite itself does not wait.
    for turn in range(40):
        stores = [DiskStore(tmp_path / str(turn), **LIMITS) for _ in range(4)]
        try:
            await asyncio.gather(*(one.open() for one in stores))
        finally:
            await asyncio.gather(*(one.close() for one in stores))


def noise(size=20_000):
    return os.urandom(size)


async def test_it_is_bounded_in_bytes_and_the_least_used_goes_first(tmp_path, store, monkeypatch):
    monkeypatch.setattr("serve.cache.disk._USE_S", 0.0)
    await store.put("used", b"one")
    await store.put("not used", b"one")
    for i in range(100):
        await store.put(str(i), noise())
        await store.get("used")
    assert store.size_bytes <= LIMITS["max_bytes"]
    assert 20 < store.entries < 60
    size = sum(path.stat().st_size for path in (tmp_path / "cache").glob(FILE))
    assert size <= LIMITS["max_bytes"]
    assert await store.get("used")
    assert await store.get("99")
    assert await store.get("not used") is None
    assert await store.get("0") is None


async def test_it_is_bounded_in_entries(store):
    for i in range(130):
        await store.put(str(i), b"v")
    assert store.entries <= 100
    assert await store.get("129")
    assert await store.get("0") is None


async def test_it_is_bounded_in_age(tmp_path, monkeypatch):
    store = DiskStore(tmp_path, **LIMITS)
    await store.put("a", b"v")
    now = time.time() + 3601
    monkeypatch.setattr("serve.cache.disk.time.time", lambda: now)
    assert await store.get("a") is None
    await store.put("b", b"v")
    assert store.entries == 1
    await store.close()


async def test_a_clock_that_was_set_back_keeps_nothing_for_ever(store, monkeypatch):
    real = time.time
    monkeypatch.setattr("serve.cache.disk.time.time", lambda: real() + 86_400)
    await store.put("a", b"v")
    monkeypatch.setattr("serve.cache.disk.time.time", real)
    assert await store.get("a") is None
    await store.put("b", b"v")
    assert store.entries == 1


async def test_what_another_has_written_a_moment_ahead_is_new(store, monkeypatch):
    real = time.time
    monkeypatch.setattr("serve.cache.disk.time.time", lambda: real() + 1)
    await store.put("a", b"v")
    monkeypatch.setattr("serve.cache.disk.time.time", real)
    assert await store.get("a") == (b"v", 0.0)


async def test_smaller_limits_shrink_the_file(tmp_path, store):
    for i in range(30):
        await store.put(str(i), noise())
    await store.close()
    small = DiskStore(tmp_path / "cache", **LIMITS | {"max_bytes": 300_000})
    await small.open()
    assert 0 < small.entries < 15
    await small.close()
    assert (tmp_path / "cache" / FILE).stat().st_size <= 300_000


async def test_what_is_larger_than_all_is_not_kept(store):
    await store.put("a", b"v")
    await store.put("large", noise(2 << 20))
    assert await store.get("large") is None
    assert await store.get("a")


@pytest.mark.parametrize("content", [b"", b"no database " * 999, bytes(9999)])
async def test_a_broken_file_is_replaced(tmp_path, store, content):
    await store.put("a", b"v")
    await store.close()
    path = tmp_path / "cache" / FILE
    path.write_bytes(content)
    again = DiskStore(tmp_path / "cache", **LIMITS)
    assert await again.get("a") is None
    await again.put("a", b"w")
    assert (await again.get("a"))[0] == b"w"
    await again.close()


async def test_a_file_that_breaks_on_the_way_is_replaced(tmp_path, store):
    for i in range(30):
        await store.put(str(i), noise())
    await store.close()
    path = tmp_path / "cache" / FILE
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    again = DiskStore(tmp_path / "cache", **LIMITS)
    for i in range(30):
        await again.put(str(i), b"w")
        assert (await again.get(str(i)))[0] == b"w"
    await again.close()


BROKEN: dict[str, dict[str, Any]] = {
    "nothing": {"value": b"nothing"},
    "text": {"value": "text"},
    "larger than any": {"value": zlib.compress(bytes(MAX_VALUE_BYTES + 1))},
    "longer than any": {"value": bytes(MAX_VALUE_BYTES + 1)},
    "made some time": {"made": "some time"},
    "made before all time": {"made": -float("inf")},
    "made after all time": {"made": float("inf")},
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_value_is_passed_over(tmp_path, store, broken):
    await store.put("a", b"v" * 999)
    ((column, content),) = BROKEN[broken].items()
    with sqlite3.connect(tmp_path / "cache" / FILE) as database:
        database.execute(f"UPDATE answers SET {column} = ?", (content,))
    database.close()
    assert await store.get("a") is None
    await store.put("a", b"w")
    assert (await store.get("a"))[0] == b"w"


# Who else can get at it.


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o002, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


async def test_nobody_else_can_read_it(tmp_path, store, umask, caplog):
    await store.put("a", b"v")
    folder = tmp_path / "cache"
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {
        FILE: 0o600,
        f"{FILE}-wal": 0o600,
        f"{FILE}-shm": 0o600,
    }
    assert caplog.text == ""


async def test_what_others_could_read_is_narrowed_with_a_word(tmp_path, store, caplog):
    await store.put("a", b"v")
    await store.close()
    folder = tmp_path / "cache"
    folder.chmod(0o755)
    (folder / FILE).chmod(0o644)
    assert (await store.get("a"))[0] == b"v"
    assert (mode(folder), mode(folder / FILE)) == (0o700, 0o600)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert f"{folder}: its mode was 0755" in caplog.text
    assert f"{folder / FILE}: its mode was 0644" in caplog.text


async def test_what_others_could_write_is_not_believed(tmp_path, store, caplog):
    await store.put("a", b"v")
    await store.close()
    (tmp_path / "cache" / FILE).chmod(0o666)
    assert await store.get("a") is None
    assert mode(tmp_path / "cache" / FILE) == 0o600
    assert "other users could write the cache" in caplog.text


def _a_folder_with_more(folder):
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "for all.txt").touch()


def _a_link(folder):
    folder.mkdir(mode=0o700)
    (folder / FILE).symlink_to(folder.parent / "elsewhere")


def _a_pipe(folder):
    folder.mkdir(mode=0o700)
    os.mkfifo(folder / FILE)


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (_a_folder_with_more, "chmod 700"),
        (_a_link, "not a regular file"),
        (_a_pipe, "not a regular file"),
    ],
)
async def test_what_may_not_be_narrowed_is_refused(tmp_path, store, prepare, why):
    folder = tmp_path / "cache"
    prepare(folder)
    before = mode(folder)
    with pytest.raises(StoreError, match=why):
        await store.put("a", b"v")
    assert mode(folder) == before
    assert not (tmp_path / "elsewhere").exists()


async def test_another_users_folder_is_refused(store, monkeypatch):
    await store.put("a", b"v")
    await store.close()
    monkeypatch.setattr("serve.cache.private.os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StoreError, match="another user"):
        await store.get("a")


async def test_a_folder_that_can_not_be_had_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = DiskStore(tmp_path / "file" / "cache", **LIMITS)
    with pytest.raises(StoreError, match="file"):
        await store.open()
    await store.close()


async def test_a_full_disk_is_said_and_got_over(store, tmp_path):
    await store.put("a", b"v")

    def full(database):
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    await store._do(full)
    with pytest.raises(StoreError, match="full"):
        await store.put("b", noise(200_000))
    assert await store.get("a")
    await store.put("b", noise(200_000))
    assert await store.get("b")


def fill(folder):
    async def go():
        store = DiskStore(folder, **LIMITS)
        for i in range(100_000):
            await store.put(str(i % 50), noise())

    asyncio.run(go())


async def test_killed_in_the_middle_it_is_whole(tmp_path):
    context = multiprocessing.get_context("spawn")
    for _ in range(2):
        process = context.Process(target=fill, args=(tmp_path,))
        process.start()
        while not (tmp_path / FILE).exists() or (tmp_path / FILE).stat().st_size < 300_000:
            await asyncio.sleep(0.01)
        process.kill()
        await asyncio.to_thread(process.join)
        process.close()
    store = DiskStore(tmp_path, **LIMITS)
    await store.open()
    assert store.entries > 5
    found = [await store.get(str(i)) for i in range(50)]
    assert sum(value is not None and len(value[0]) == 20_000 for value in found) == store.entries
    check = await store._do(lambda database: database.execute("PRAGMA integrity_check").fetchone())
    assert check == ("ok",)
    await store.close()
