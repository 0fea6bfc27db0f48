"""The account of a soak: every promise, and what breaks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from tests.chaos.asks import LEFT_ALONE
from tests.chaos.client import DEPARTED, Outcome
from tests.chaos.hazards import CRASHED
from tests.chaos.verdict import UNANSWERED

#: Codes that in a crowd any track may get: there are more than the server takes.
CROWDED = frozenset({"overloaded", "timeout"})
#: Codes that a killed child may cost the track that it was at work on.
KILLED = frozenset({"not_ready", "youtube_error"})
#: The code of a track whose decoder crashed: it is taken for the file's fault.
BLAMED = "undecodable"
#: As long a failure is known, in seconds, and told to others who ask for the same.
FAILURE_AGE_S = 2.0
# What a kill may be late to show in, in seconds: until then it looks alive.
_LATE_S = 2.0
#: Words in a server's log that tell of something nobody has thought of.
ALARMS = ("Traceback (most recent call last)", "was never", "Unclosed", "ResourceWarning")
# Of a broken promise, this many reasons are told.
_MOST_TOLD = 10


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised, and every way in which it was broken; `seen` is what it was held against.

    A promise that was held against nothing is no kept one.
    """

    name: str
    seen: int
    broken: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether it was."""
        return self.seen > 0 and not self.broken


@dataclass(slots=True)
class Account:
    """Everything that a soak has seen."""

    calm: list[Outcome] = field(default_factory=list)
    crowd: list[Outcome] = field(default_factory=list)
    kills: list[tuple[float, str]] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)

    @property
    def outcomes(self) -> list[Outcome]:
        """All of them."""
        return self.calm + self.crowd

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return all(promise.kept for promise in self.promises)

    def promise(self, name: str, seen: int, broken: Iterable[str]) -> None:
        """Add one."""
        self.promises.append(Promise(name, seen, tuple(broken)))

    def settle(self) -> None:
        """Hold the promises about answers against all outcomes."""
        answered = [o for o in self.outcomes if o.code != DEPARTED]
        self.promise("answered exactly once", len(answered), answered_once(answered))
        wrong = (f"{o.ask.kind}: {p}" for o in answered for p in o.verdict.problems)
        right = sum(o.code == "ok" and o.ask.track is not None for o in answered)
        self.promise("right answers, well-formed errors", right, wrong)
        self.promise("in peace, its own outcome", len(self.calm), map(_odd, odd(self.calm)))
        crowd = odd(self.crowd, self.kills)
        self.promise("in the crowd, an explained outcome", len(self.crowd), map(_odd, crowd))

    def table(self) -> Table:
        """The outcomes of each kind of request."""
        shown = Table("asked for", "times", "outcomes")
        for kind, codes in sorted(self.by_kind().items()):
            told = ", ".join(f"{code} {n}" for code, n in Counter(codes).most_common())
            shown.add_row(kind, str(sum(codes.values())), told)
        return shown

    def verdicts(self) -> Table:
        """The promises, and whether they were kept."""
        shown = Table("promise", "held against", "kept")
        for promise in self.promises:
            told = "\n".join(promise.broken[:_MOST_TOLD]) or "there was nothing to see"
            shown.add_row(
                promise.name,
                str(promise.seen),
                "[green]yes[/]" if promise.kept else f"[red]no[/]: {told}",
            )
        return shown

    def by_kind(self) -> dict[str, dict[str, int]]:
        """How often each kind of request had each outcome."""
        found: dict[str, Counter[str]] = {}
        for outcome in self.outcomes:
            found.setdefault(outcome.ask.kind, Counter())[outcome.code] += 1
        return {kind: dict(codes) for kind, codes in found.items()}

    def to_dict(self) -> dict[str, object]:
        """As plain values, for JSON."""
        return {
            "requests": len(self.outcomes),
            "manners": dict(Counter(outcome.manner for outcome in self.outcomes)),
            "codes": dict(Counter(outcome.code for outcome in self.outcomes)),
            "kinds": self.by_kind(),
            "kills": dict(Counter(role for _, role in self.kills)),
            "promises": [asdict(p) | {"kept": p.kept} for p in self.promises],
        }


def answered_once(answered: Sequence[Outcome]) -> Iterator[str]:
    """Requests without an answer, and answers that are somebody else's too."""
    yield from (
        f"{outcome.ask.kind} ({outcome.manner}) was not answered"
        for outcome in answered
        if outcome.code == UNANSWERED
    )
    ids = Counter(o.verdict.request_id for o in answered if o.verdict.request_id)
    yield from (f"{times} answers have the id {one}" for one, times in ids.items() if times > 1)


def odd(
    outcomes: Iterable[Outcome], kills: Sequence[tuple[float, str]] | None = None
) -> list[Outcome]:
    """The outcomes that are not their request's own and that nothing explains.

    Without `kills` it was peaceful, and nothing is explained.
    """
    return [
        outcome
        for outcome in outcomes
        if outcome.code not in outcome.ask.codes | {DEPARTED, UNANSWERED}
        and not (kills is not None and _explained(outcome, kills))
    ]


def _explained(outcome: Outcome, kills: Sequence[tuple[float, str]]) -> bool:
    if outcome.code in CROWDED:
        return True
    if outcome.code in LEFT_ALONE:
        return outcome.ask.link
    return any(_killed(outcome, moment, what) for moment, what in kills)


def _killed(outcome: Outcome, moment: float, what: str) -> bool:
    crashed = what.endswith(CRASHED)
    if outcome.code not in ({BLAMED} if crashed else KILLED):
        return False
    late_s = _LATE_S + crashed * FAILURE_AGE_S
    return outcome.began - late_s <= moment <= outcome.ended


def _odd(outcome: Outcome) -> str:
    return f"{outcome.ask.kind} ({outcome.manner}): {outcome.code}"


def counts_disagree(before: str, after: str, outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Where the server's count of outcomes, two texts of its metrics, is not the clients'.

    Of those who left it may know the outcome, or nothing.
    """
    counted = Counter(_requests(after))
    counted.subtract(_requests(before))
    # A batch is counted by its tracks.
    single = [outcome for outcome in outcomes if not outcome.ask.batch]
    told = Counter(outcome.code for outcome in single)
    departed = told.pop(DEPARTED, 0)
    for code in sorted(told.keys() | counted.keys()):
        more = counted[code] - told[code]
        if more < 0:
            yield f"{code}: the server counts {counted[code]}, clients had {told[code]}"
    extra = counted.total() - told.total()
    if extra > departed:
        yield f"{extra} more than were answered, but {departed} left"


def busy(metrics: str) -> Iterator[str]:
    """Gauges of work under way that are not at 0."""
    for family in text_string_to_metric_families(metrics):
        if family.type == "gauge" and family.name.endswith(("_active", "_open", "_waiting")):
            yield from (f"{family.name}: {s.value:g}" for s in family.samples if s.value)


def alarms(log: str) -> Iterator[str]:
    """Lines of a log that tell of something nobody has thought of."""
    lines = log.splitlines()
    yield from (
        " / ".join(lines[max(0, at - 1) : at + 1])
        for at, line in enumerate(lines)
        if any(alarm in line for alarm in ALARMS)
    )


def _requests(metrics: str) -> Mapping[str, int]:
    return {
        sample.labels["code"]: int(sample.value)
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "topgenre_requests_total"
    }
