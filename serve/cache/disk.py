"""Answers in a SQLite file, which several servers may share, and which survives their crashes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from serve.cache.private import make_private
from serve.cache.store import MAX_VALUE_BYTES, StoreError, packed, unpacked

T = TypeVar("T")

_FILE = "answers.sqlite"
# The file, and those that SQLite creates beside it.
_FILES = tuple(_FILE + suffix for suffix in ("", "-wal", "-shm", "-journal"))
# Longest wait for another server's write, in seconds.
_BUSY_S = 1.0
_LOOK_S = 0.01
# Tolerated seconds by which a value may be newer than our clock.
_AHEAD_S = 60.0
_PAGE = 4096
_JOURNAL_BYTES = 4 << 20
# Update a value's time of last use at most so often, in seconds: the update may block.
_USE_S = 600.0
# Share of the limit that values may fill; the rest is left to SQLite's own pages.
_FULL = 0.9
# When over the limit, evict this share more, so that the next value fits too.
_SPARE = 0.05

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, size INTEGER NOT NULL, made REAL NOT NULL, used REAL NOT NULL,
    value BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_use ON answers (used, size);
CREATE INDEX IF NOT EXISTS by_age ON answers (made);
"""


class DiskStore:
    """Compressed values in a folder, limited in number, bytes and age.

    The least recently used values are evicted first. Everything happens in one thread. A broken
    file is deleted; a broken value is ignored. Only their owner can access folder and file (modes
    0700 and 0600).
    """

    def __init__(self, folder: Path, *, max_bytes: int, max_entries: int, max_age_s: float) -> None:
        self._path = folder / _FILE
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._max_age_s = max_age_s
        self._thread = ThreadPoolExecutor(1, "cache")
        self._database: sqlite3.Connection | None = None
        self.entries = 0
        self.size_bytes = 0

    async def open(self) -> None:
        """Open the file, or create it."""
        await self._do(self._trim)

    async def get(self, key: str) -> tuple[bytes, float] | None:
        """A value that is not too old, and its age in seconds."""
        return await self._do(lambda database: self._get(database, key))

    async def put(self, key: str, value: bytes) -> None:
        """Store a value, unless it is larger than the limit."""
        await self._do(lambda database: self._put(database, key, value))

    async def close(self) -> None:
        """Wait for pending work, and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)
        self._thread = ThreadPoolExecutor(1, "cache")  # it may be opened again

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._attempt(work)
        )

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            try:
                return self._within(work)
            except sqlite3.OperationalError:  # busy, full, can't be opened
                raise
            except sqlite3.DatabaseError:  # not, or no longer, a database
                self._disconnect()
                for name in _FILES:
                    self._path.with_name(name).unlink(missing_ok=True)
                return self._within(work)
        except (sqlite3.Error, OSError) as error:
            # Reopen it next time: another server may have deleted the file.
            self._disconnect()
            raise StoreError(f"{self._path}: {error}") from error

    def _within(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._database is None:
            self._database = self._connect()
        with self._database:  # one transaction
            return work(self._database)

    def _connect(self) -> sqlite3.Connection:
        make_private(self._path, _FILES)
        database = sqlite3.connect(self._path, timeout=_BUSY_S, check_same_thread=False)
        try:
            for pragma in (
                f"page_size = {_PAGE}",
                # Survives a crash of the process; one of the machine may lose the last answers.
                "journal_mode = WAL",
                "synchronous = NORMAL",
                f"journal_size_limit = {_JOURNAL_BYTES}",
            ):
                _execute(database, f"PRAGMA {pragma}")
            database.executescript(_SCHEMA)
            # Even if the counts are wrong, the file can't grow beyond this.
            pages = max(self._max_bytes, 64 * _PAGE) // _PAGE
            (now,) = database.execute("PRAGMA page_count").fetchone()
            if now > pages:
                self._evict(database, 0)
                database.commit()
                database.execute("VACUUM")
            database.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        except BaseException:
            database.close()
            raise
        return database

    def _disconnect(self) -> None:
        if self._database is not None:
            database, self._database = self._database, None
            database.close()

    def _trim(self, database: sqlite3.Connection) -> None:
        self._evict(database, 0)
        self._count(database)

    def _get(self, database: sqlite3.Connection, key: str) -> tuple[bytes, float] | None:
        now = time.time()
        row = database.execute(
            "SELECT value, ? - made, used NOT BETWEEN ? AND ? FROM answers "
            "WHERE key = ? AND length(value) <= ? AND made BETWEEN ? AND ?",
            (now, now - _USE_S, now, key, MAX_VALUE_BYTES, now - self._max_age_s, now + _AHEAD_S),
        ).fetchone()
        value = unpacked(row[0]) if row else None
        if value is None:
            return None
        if row[2]:
            database.execute("UPDATE answers SET used = ? WHERE key = ?", (now, key))
        return value, max(0.0, row[1])

    def _put(self, database: sqlite3.Connection, key: str, value: bytes) -> None:
        if (compressed := packed(value)) is None:
            return
        # In whole pages, plus one for its entries in the tables.
        size = (len(compressed) // _PAGE + 2) * _PAGE
        if size > self._max_bytes * _FULL:
            return
        self._evict(database, size)
        now = time.time()
        database.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
            (key, size, now, now, compressed),
        )
        self._count(database)

    def _evict(self, database: sqlite3.Connection, coming: int) -> None:
        """Evict what is too old, and enough more to make room for this many bytes.

        A value from the future, as after a clock was set back, counts as too old.
        """
        now = time.time()
        database.execute(
            "DELETE FROM answers WHERE made NOT BETWEEN ? AND ?",
            (now - self._max_age_s, now + _AHEAD_S),
        )
        self._count(database)
        surplus_bytes = self.size_bytes + coming - int(self._max_bytes * _FULL)
        surplus = self.entries + bool(coming) - self._max_entries
        if surplus_bytes <= 0 and surplus <= 0:
            return
        surplus_bytes += int(self._max_bytes * _SPARE)
        gone = []
        for rowid, size in database.execute("SELECT rowid, size FROM answers ORDER BY used"):
            if surplus_bytes <= 0 and surplus <= 0:
                break
            gone.append((rowid,))
            surplus_bytes -= size
            surplus -= 1
        database.executemany("DELETE FROM answers WHERE rowid = ?", gone)

    def _count(self, database: sqlite3.Connection) -> None:
        row = database.execute("SELECT COUNT(*), TOTAL(size) FROM answers").fetchone()
        self.entries, self.size_bytes = int(row[0]), int(row[1])


def _execute(database: sqlite3.Connection, statement: str) -> None:
    """Wait for other processes where SQLite itself does not: while they change the journal mode."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            database.execute(statement).fetchall()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        time.sleep(_LOOK_S)
