"""Time zones as feeds name them: that of the carrier, and those of stops."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge_agents.fares.feed import FeedError


def read_zone(name: str) -> ZoneInfo:
    """The zone of a name such as "Europe/Berlin"; FeedError if none is known by it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FeedError(f'it names no time zone that is known: "{name}"') from None
