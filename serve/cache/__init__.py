"""The cache of answers: in memory and, behind it, optionally on disk or in Redis."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import get_args

from serve.cache.answers import AnswerCache
from serve.cache.store import Store
from serve.inference.session import LoadedModel
from serve.metrics import Metrics
from serve.settings import REDIS, CacheMode, Settings

__all__ = ["AnswerCache", "cache_for"]


def cache_for(settings: Settings, model: LoadedModel, metrics: Metrics) -> AnswerCache:
    """The cache for the answers of this model, as the settings ask for; not open yet."""
    store = _store(settings)
    watch = metrics.watch
    watch("cache_entries", "Answers in the cache on disk", lambda: store.entries if store else 0)
    watch("cache_bytes", "Bytes of the cache on disk", lambda: store.size_bytes if store else 0)
    cache = AnswerCache(
        store,
        metrics,
        maker={
            "model": model.sha256,
            "front_end": model.card.front_end,
            "provider": model.provider,
            # Versions of what decodes, resamples and multiplies.
            "versions": [version(package) for package in ("topgenre", "av", "numpy")],
        },
        memory_entries=settings.cache_memory_entries,
        age_s=settings.cache_age_s,
        failure_age_s=settings.cache_failure_age_s,
    )
    watch("cache_memory_entries", "Outcomes in the cache's memory", lambda: len(cache))
    return cache


def _store(settings: Settings) -> Store | None:
    """The store in which answers outlive the server, if any."""
    if settings.cache in get_args(CacheMode):
        return None
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
