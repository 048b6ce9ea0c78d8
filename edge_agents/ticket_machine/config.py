"""The ticket machine's configuration: a counter's, and how often it asks for offers."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from edge_agents.counter.config import FOLDER, CounterConfig


class TicketMachineConfig(CounterConfig):
    """What a ticket machine needs to know."""

    folder: Path = Field(Path("ticket-machine"), description=FOLDER)
    refresh_seconds: int = Field(
        10, ge=1, le=3600, description="How often the switch is asked for the offers, 1 to 3600."
    )
    rest_seconds: int = Field(
        30,
        ge=2,
        le=600,
        description="After how long without a key the next customer begins anew, 2 to 600.",
    )

    @field_validator("offline_days")
    @classmethod
    def _check_offline_days(cls, days: int) -> int:
        if days:
            raise ValueError("should be 0: the switch signs tickets, so none is sold without it")
        return days
