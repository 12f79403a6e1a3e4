"""Which carrier may take which messages now. Pure.

A message's route is the list of carriers that can carry it, in order of preference. The first one that can be used gets it; a less
preferred one only once every better one has been unusable for `failover_after` seconds. As soon as a better one is back, it gets what is
still queued. One that only seems to come back, for less time than it was away and less than `failover_after`, keeps the others waiting no
longer: a provider whose port answers and whose service does not would else be waited for again and again.

A suspended carrier may ask for one message to find out whether it still is: it gets the next one that would be its own if it could be used,
while it counts as unusable for everybody else, so that the carrier after it goes on meanwhile.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Route = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a carrier can be used, since when it cannot, and since when it can again (monotonic s)."""

    usable: bool
    unusable_since: float = 0.0
    usable_since: float = 0.0


def noted(health: Health, usable: bool, now: float, failover_after: float) -> Health:
    """Return how a carrier stands that is seen now. Back for a moment is not back: the next carrier need not wait anew."""
    if usable == health.usable:
        return health
    if usable:
        return Health(True, health.unusable_since, now)
    away, back = health.usable_since - health.unusable_since, now - health.usable_since
    return Health(False, health.unusable_since if back < min(away, failover_after) else now)


def chosen(route: Route, health: Mapping[str, Health], now: float, failover_after: float) -> str | None:
    """Return the carrier that a route's messages go to now; None = they wait."""
    for name in route:
        state = health.get(name)
        if state is None:
            continue
        if state.usable:
            return name
        if now - state.unusable_since < failover_after:
            return None
    return None


def routes_of(carrier: str, routes: Collection[Route], health: Mapping[str, Health], now: float, failover_after: float) -> list[Route]:
    """List the routes whose messages `carrier` may claim now."""
    return [route for route in routes if chosen(route, health, now, failover_after) == carrier]


def probing(carrier: str, health: Mapping[str, Health]) -> dict[str, Health]:
    """Return how carriers stand where `carrier` takes one message to find out how it does."""
    return {**health, carrier: Health(usable=True)}


def subsets(preference: Sequence[str]) -> set[Route]:
    """Return every route that capabilities can make of the configured preference."""
    return {route for size in range(1, len(preference) + 1) for route in combinations(preference, size)}
