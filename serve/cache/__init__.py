"""Answers that are known already: in memory, and behind that on disk or in Redis."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from serve.cache.answers import AnswerCache
from serve.cache.store import Store
from serve.inference.session import Model
from serve.metrics import Metrics
from serve.settings import REDIS, Settings

__all__ = ["AnswerCache", "cache_for"]


def cache_for(settings: Settings, model: Model, metrics: Metrics) -> AnswerCache:
    """The cache that the settings ask for, of what this model says here. It is not open yet."""
    store = _store(settings)
    watch = metrics.watch
    watch("cache_entries", "Answers in the cache on disk", lambda: store.entries)
    watch("cache_bytes", "Bytes of the cache on disk", lambda: store.size_bytes)
    cache = AnswerCache(
        store,
        metrics,
        maker={
            "model": model.sha256,
            "front_end": model.card.front_end,
            "provider": model.provider,
            # They decode, resample and sum up.
            "versions": [version(package) for package in ("topgenre", "av", "numpy")],
        },
        memory_entries=settings.cache_memory_entries,
        age_s=settings.cache_age_s,
        failure_age_s=settings.cache_failure_age_s,
    )
    watch("cache_memory_entries", "Outcomes in the cache's memory", lambda: len(cache))
    return cache


def _store(settings: Settings) -> Store:
    if settings.cache.startswith(REDIS):
        from serve.cache.redis import RedisStore  # an extra

        return RedisStore(settings.cache, max_age_s=settings.cache_age_s)
    from serve.cache.disk import DiskStore

    return DiskStore(
        Path(settings.cache).expanduser(),
        max_bytes=settings.cache_bytes,
        max_entries=settings.cache_entries,
        max_age_s=settings.cache_age_s,
    )
