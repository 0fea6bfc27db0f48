"""Answers in a SQLite file, which several servers may share and any of them may die over."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from serve.cache.packing import pack, unpack
from serve.cache.store import StoreError

T = TypeVar("T")
_LOG = logging.getLogger(__name__)

_FILE = "answers.sqlite"
# Longest wait for another server that writes, in seconds.
_BUSY_S = 1.0
_LOOK_S = 0.01
_PAGE = 4096
_JOURNAL_BYTES = 4 << 20
# Reading is writing, and may have to wait, only so often for each value, in seconds.
_USE_S = 600.0
# Of what may be taken: the rest is left to SQLite's own pages.
_FULL = 0.9
# Of what is too much, so much is let go of at once besides.
_SPARE = 0.05
# A clock may be set back by so much, in seconds; what is from later is of no known age.
_FUTURE_S = 300.0
_OURS_ALONE = 0o700

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, size INTEGER NOT NULL, made REAL NOT NULL, used REAL NOT NULL,
    value BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_use ON answers (used, size);
CREATE INDEX IF NOT EXISTS by_age ON answers (made);
"""


class DiskStore:
    """Compressed values in a folder: at most so many, bytes, and seconds old.

    What was used longest ago goes first. Everything happens in one thread. A file that turns out
    to be broken is thrown away; a value that does is passed over.
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
        """Open the file, and make it if there is none."""
        await self._do(self._trim)

    async def get(self, key: str) -> tuple[bytes, float] | None:
        """A value that is not too old, and its age in seconds."""
        return await self._do(lambda database: self._get(database, key))

    async def put(self, key: str, value: bytes) -> None:
        """Keep a value; one that is larger than what may be taken is not kept."""
        await self._do(lambda database: self._put(database, key, value))

    async def close(self) -> None:
        """Wait for what is being done, and close the file."""
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
            except sqlite3.OperationalError:  # busy, full, not to be opened
                raise
            except sqlite3.DatabaseError:  # not, or no longer, a database
                self._disconnect()
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(_FILE + suffix).unlink(missing_ok=True)
                return self._within(work)
        except (sqlite3.Error, OSError) as error:
            # Anew next time: another server may have thrown the file away.
            self._disconnect()
            raise StoreError(f"{self._path}: {error}") from error

    def _within(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._database is None:
            self._database = self._connect()
        with self._database:  # one transaction
            return work(self._database)

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=_OURS_ALONE, parents=True, exist_ok=True)
        self._keep_private()
        database = sqlite3.connect(self._path, timeout=_BUSY_S, check_same_thread=False)
        try:
            for pragma in (
                f"page_size = {_PAGE}",
                # Survives a crash of ours whole; of the machine's, but for the last answers.
                "journal_mode = WAL",
                "synchronous = NORMAL",
                f"journal_size_limit = {_JOURNAL_BYTES}",
            ):
                _execute(database, f"PRAGMA {pragma}")
            database.executescript(_SCHEMA)
            # Whatever is counted wrong: the file itself can't grow beyond this.
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

    def _keep_private(self) -> None:
        """See to it that nobody else reads what was asked for, or writes what is answered."""
        # SQLite gives the files beside it the same rights.
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._path.chmod(0o600)
        folder = self._path.parent
        status = folder.stat()
        if not status.st_mode & 0o077:
            return
        alone = all(of.name.startswith(_FILE) for of in folder.iterdir())
        if alone and status.st_uid == os.geteuid():
            folder.chmod(_OURS_ALONE)
            _LOG.warning("%s could be read by others; its rights are 0700 now", folder)
        else:
            _LOG.warning("%s can be entered by others: the cache has a better place alone", folder)

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
            "SELECT value, made, used FROM answers WHERE key = ?", (key,)
        ).fetchone()
        if row is None or (age_s := now - row[1]) > self._max_age_s:
            return None
        value = unpack(row[0])
        if value is None or age_s < -_FUTURE_S:
            database.execute("DELETE FROM answers WHERE key = ?", (key,))
            return None
        if now - row[2] >= _USE_S:
            database.execute("UPDATE answers SET used = ? WHERE key = ?", (now, key))
        return value, max(0.0, age_s)

    def _put(self, database: sqlite3.Connection, key: str, value: bytes) -> None:
        compressed = pack(value)
        # In whole pages, and one for its place in the tables.
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
        """Let go of what is too old, and of so much that this many bytes more can be taken."""
        database.execute("DELETE FROM answers WHERE made < ?", (time.time() - self._max_age_s,))
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
    """Wait for others also where SQLite does not: two that change the journal at the same time."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            database.execute(statement).fetchall()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        time.sleep(_LOOK_S)
