import asyncio
import multiprocessing
import os
import sqlite3
import time
import zlib

import pytest

from serve.cache.disk import DiskStore
from serve.cache.store import StoreError

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


async def test_a_broken_value_is_passed_over(tmp_path, store):
    await store.put("a", b"v" * 999)
    with sqlite3.connect(tmp_path / "cache" / FILE) as database:
        database.execute("UPDATE answers SET value = ?", (b"nothing",))
    database.close()
    assert await store.get("a") is None
    await store.put("a", b"w")
    assert (await store.get("a"))[0] == b"w"


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


@pytest.mark.parametrize(
    "value", [zlib.compress(bytes(64 << 20)), zlib.compress(b"half")[:-5], b"", 7]
)
async def test_what_is_broken_or_inflates_is_passed_over(tmp_path, store, value):
    await store.put("a", b"one")
    with sqlite3.connect(tmp_path / "cache" / FILE) as database:
        database.execute("UPDATE answers SET value = ?", (value,))
    database.close()
    assert await store.get("a") is None


async def test_what_is_from_the_future_is_of_no_known_age(tmp_path, store):
    await store.put("a", b"one")
    with sqlite3.connect(tmp_path / "cache" / FILE) as database:
        database.execute("UPDATE answers SET made = made + 86400")
    database.close()
    assert await store.get("a") is None


async def test_only_its_user_may_read_it(tmp_path, caplog):
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    (folder / FILE).touch(0o644)
    store = DiskStore(folder, **LIMITS)
    await store.put("a", b"one")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {of.stat().st_mode & 0o777 for of in folder.iterdir()} == {0o600}
    assert "0700 now" in caplog.text
    await store.close()


async def test_a_folder_of_others_is_left_as_it_is(tmp_path, caplog):
    (tmp_path / "theirs").touch()
    tmp_path.chmod(0o755)
    store = DiskStore(tmp_path, **LIMITS)
    await store.put("a", b"one")
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert "a better place alone" in caplog.text
    await store.close()
