"""Classifies the missing shards of a catalogue on all cores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Protocol

import pyarrow as pa

from serve.answer import Failure
from serve.library.aside import aside
from serve.library.catalogue.manifest import Entry
from serve.library.catalogue.places import Place, failure_of
from serve.library.catalogue.rows import row, schema
from serve.library.catalogue.shards import Shards
from serve.library.results import Record
from serve.library.run import digest, persistently, typed, workers_for
from serve.library.tracks import is_link
from serve.pipeline import Pipeline
from serve.sources.links import link_of
from serve.sources.memory import MemorySource
from serve.sources.stream import AudioSource
from serve.text import safe

# Tracks being read while one is decoded: object storage has a high latency.
_READ_AHEAD = 4


class Told(Protocol):
    """Receives progress."""

    def track(self, *, failed: bool) -> None:
        """Count a track."""

    def shard(self, number: int, *, rows: int) -> None:
        """Note a shard that was written."""


class CatalogueRun:
    """Works through the given shards in order; each is written when its last track is done.

    Tracks of the next shard are begun while the last ones of a shard are under way, so that no
    core waits at a shard's end. What is kept in memory are the rows of unfinished shards, and a
    few files.
    """

    def __init__(
        self, pipeline: Pipeline, entry_of: Callable[[int], Entry], shards: Shards, told: Told
    ) -> None:
        self._pipeline = pipeline
        self._entry_of = entry_of
        self._shards = shards
        self._told = told
        self._schema = schema(pipeline.model.card.genres)
        self._turn = asyncio.Semaphore(workers_for(pipeline.decoders))

    async def run(self, shards: Sequence[int]) -> None:
        """Do it all, in the pipeline's context; raise OSError where a shard can't be written."""
        tracks = self._tracks(shards)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(_READ_AHEAD * self._pipeline.decoders):
                    workers.create_task(self._work(tracks))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _tracks(self, shards: Sequence[int]) -> Iterator[tuple[_Unfinished, int]]:
        for shard in shards:
            unfinished = _Unfinished(shard, self._shards.plan.tracks_of(shard))
            for number in unfinished.tracks:
                yield unfinished, number

    async def _work(self, tracks: Iterator[tuple[_Unfinished, int]]) -> None:
        # All workers share one iterator, so that each track is done once.
        for shard, number in tracks:
            entry = self._entry_of(number)
            try:
                record = await self._record(entry)
            except Exception as failure:
                record = Failure.of(typed(failure)).body()
            shard.rows[number] = row(self._schema, entry, record, self._pipeline.model.sha256)
            self._told.track(failed="code" in record)
            if len(shard.rows) == len(shard.tracks):
                await asyncio.to_thread(self._write, shard)

    def _write(self, shard: _Unfinished) -> None:
        rows = [shard.rows[number] for number in shard.tracks]
        table = pa.Table.from_batches(rows, self._schema).combine_chunks()
        self._shards.write(shard.number, table)
        self._told.shard(shard.number, rows=len(rows))

    async def _record(self, entry: Entry) -> Record:
        if _is_link(entry.path):
            key = link_of(entry.path).key
            return await self._classified(key, self._pipeline.linked(entry.path))
        limit = self._pipeline.settings.max_body_bytes
        content = await aside(partial(_read, entry.path, limit))
        key = await asyncio.to_thread(digest, content)
        source = MemorySource(safe(PurePosixPath(entry.path).name), content, limit)
        return await self._classified(key, source)

    async def _classified(self, key: str, source: AudioSource) -> Record:
        async with self._turn:
            answer = await persistently(partial(self._pipeline.classify, source))
        return {"id": key} | answer.body()


class _Unfinished:
    """A shard in progress, with its rows so far."""

    def __init__(self, number: int, tracks: range) -> None:
        self.number, self.tracks = number, tracks
        self.rows: dict[int, pa.RecordBatch] = {}


def _is_link(path: str) -> bool:
    scheme, separator, _ = path.partition("://")
    return scheme.lower() in ("http", "https") if separator else is_link(path)


def _read(path: str, limit: int) -> bytes:
    try:
        return Place.of(path).read(limit)
    except OSError as error:
        raise failure_of(path, error) from None
