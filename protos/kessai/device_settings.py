"""The settings of a terminal that can be changed from afar: names, meanings, units and limits.

The one registry: the switch refuses what does not stand here (`kessai device config`), and the
agent reads by it (`edge_agents/fleet_line.py`). All values are whole numbers, units in the name.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: what it does, and what it may be."""

    meaning: str
    least: int
    most: int


class SettingError(ValueError):
    """No such setting, or not a value that it may have; the message is for people."""


SETTINGS: dict[str, Setting] = {
    "offline_payment_limit_minor": Setting(
        "the most that one payment may be which is accepted without the switch; 0: none is",
        0,
        10**12,
    ),
    "offline_waiting_limit_minor": Setting(
        "the most that payments may add up to which wait for the switch", 0, 10**15
    ),
    "offline_waiting_count": Setting(
        "how many accepted payments may wait for the switch", 0, 1_000_000
    ),
    "offline_holder_count": Setting(
        "how many payments of one wallet may wait for the switch", 0, 1_000
    ),
    "deny_list_age_s": Setting(
        "how old the deny list may be when a payment is accepted without the switch", 0, 30 * DAY_S
    ),
    "credential_age_s": Setting(
        "how old a phone's credential may be when its payment is accepted without the switch",
        0,
        7 * DAY_S,
    ),
}


def check_setting(key: str, value: int) -> None:
    """Refuse what is no setting, or out of its limits, with SettingError."""
    setting = SETTINGS.get(key)
    if setting is None:
        raise SettingError(f'there is no setting "{key[:60]}"; there are: {", ".join(SETTINGS)}')
    if not setting.least <= value <= setting.most:
        raise SettingError(f"{key} is {setting.least} to {setting.most}, not {value}")
