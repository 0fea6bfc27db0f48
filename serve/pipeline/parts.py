"""Composition root: makes the parts of a pipeline from the settings; starts nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Self

from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.pool import DecoderPool
from serve.cache import AnswerCache, cache_for
from serve.container import cores
from serve.errors import TopgenreError
from serve.inference.card import ModelFileError
from serve.inference.engine import Engine
from serve.inference.providers import PROVIDERS
from serve.inference.runner import runner_for
from serve.inference.session import LoadedModel
from serve.metrics import Metrics
from serve.pipeline.breaker import Breaker
from serve.pipeline.heads import Heads
from serve.pipeline.places import Places
from serve.pipeline.single_flight import SingleFlight
from serve.pipeline.waiting import WaitingRoom
from serve.replicas import Replicas, replicas_for
from serve.settings import Settings
from serve.sources.links import Links

_STATES = {"closed": 0.0, "half-open": 0.5, "open": 1.0}


@dataclass(frozen=True, slots=True)
class Parts:
    """What all tracks share: decoders, model, cache, and limits."""

    settings: Settings
    model: LoadedModel
    metrics: Metrics
    front_end: FrontEnd
    links: Links
    pool: DecoderPool
    engine: Engine
    cache: AnswerCache
    #: this server and those that share its Redis
    replicas: Replicas
    flights: SingleFlight
    #: those of each service that links lead to
    breakers: dict[str, list[Breaker]]
    places: Places
    room: WaitingRoom
    heads: Heads = field(default_factory=Heads)

    @classmethod
    def of(cls, settings: Settings, model: LoadedModel, metrics: Metrics) -> Self:
        """Make all parts; raise ModelFileError if the model's front end does not fit."""
        front_end = front_end_of(model)
        pool = _pool(settings, front_end)
        links = Links(settings)
        parts = cls(
            settings,
            model,
            metrics,
            front_end,
            links=links,
            pool=pool,
            engine=_engine(settings, model, front_end, pool, metrics),
            cache=cache_for(settings, model, metrics),
            replicas=replicas_for(settings, metrics),
            flights=SingleFlight(joinable_s=settings.deadline_s),
            breakers={
                name: [_breaker(settings, *named) for named in service.breakers.items()]
                for name, service in links.services.items()
            },
            places=Places(settings.max_requests),
            room=WaitingRoom(settings.waiting_bytes),
        )
        parts._watch()
        return parts

    @property
    def ready(self) -> bool:
        """Whether a track can be processed now."""
        return self.engine.alive and self.pool.ready

    def _watch(self) -> None:
        pool, engine, flights = self.pool, self.engine, self.flights
        watch = self.metrics.watch
        watch("requests_active", "Tracks being worked on", lambda: self.places.taken)
        watch("decoders_alive", "Decoder processes", lambda: pool.alive)
        watch("decoders_idle", "Decoder processes that wait for a track", lambda: pool.idle)
        watch(
            "load",
            "Decoders at work and tracks that wait for one, of all decoders: above 1 tracks queue",
            lambda: pool.load,
        )
        watch("inference_waiting", "Tracks waiting for the model", lambda: engine.waiting)
        watch("ready", "1 when tracks are taken", lambda: self.ready)
        watch("flights", "Links being worked on, each once", lambda: len(flights))
        watch("flight_waiters", "Requests that wait for them", lambda: flights.waiting)
        for name, service in self.links.services.items():
            service.watch(watch)
            for breaker in self.breakers[name]:
                watch(
                    f"breaker_{breaker.name}",
                    f"1 while {service.title} is left alone for this, 0.5 while one request tries",
                    partial(_state, breaker),
                )


def _state(breaker: Breaker) -> float:
    return _STATES[breaker.state]


def _pool(settings: Settings, front_end: FrontEnd) -> DecoderPool:
    return DecoderPool(
        front_end,
        size=decoders_of(settings),
        max_duration_s=settings.max_duration_s,
        memory_bytes=settings.decoder_memory_bytes,
        cpu_s=settings.decoder_cpu_s,
    )


def decoders_of(settings: Settings) -> int:
    """The number of decoders in the settings; by default one per core."""
    return settings.decoders or cores()


def _engine(
    settings: Settings, model: LoadedModel, front_end: FrontEnd, pool: DecoderPool, metrics: Metrics
) -> Engine:
    share = settings.batch_clips or PROVIDERS[model.provider].shared_clips
    largest = max(share, FeatureStream.capacity(front_end, settings.max_duration_s))
    return Engine(
        runner_for(model, largest, settings.gpu_calls, lambda: pool.busy),
        queue_size=settings.queue_size,
        share=share,
        on_call=metrics.inference_call,
        stall_s=settings.deadline_s,
    )


def _breaker(settings: Settings, name: str, kind: type[TopgenreError]) -> Breaker:
    return Breaker(
        kind,
        name=name,
        failures=settings.breaker_failures,
        window_s=settings.breaker_window_s,
        pause_s=settings.breaker_pause_s,
    )


def front_end_of(model: LoadedModel) -> FrontEnd:
    """The front end named in the model file; raise ModelFileError if it does not fit."""
    try:
        front_end = FrontEnd.from_dict(model.card.front_end)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"its metadata front_end can't be used: {error}") from None
    if front_end.clip_shape != model.clip_shape:
        raise ModelFileError(
            f"its front end makes clips of {front_end.clip_shape}, it takes {model.clip_shape}"
        )
    return front_end
