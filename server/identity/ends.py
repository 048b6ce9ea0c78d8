"""Ends that come soon, told at every start: of issuing certificates, and of the last operator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from server.identity.authority import Authority
from server.identity.certificates import DAY_US
from server.shards.operator_book import OperatorBook

ISSUER_WARN_US, OPERATOR_WARN_US = 365 * DAY_US, 60 * DAY_US

log = structlog.get_logger("identity")


def tell_what_ends(
    authority: Authority, operators: OperatorBook, now_us: Callable[[], int]
) -> None:
    """Warn in the log of what ends soon, or has ended, and say what to do."""
    issuers = (authority.devices, authority.phones)
    first = min(issuer.certificate.not_valid_after_utc for issuer in issuers)
    if first.timestamp() * 1e6 < now_us() + ISSUER_WARN_US:
        log.warning(
            "an issuing certificate ends, and with it every device's: stop the switch, then "
            "kessai operator reissue with the offline root",
            end=_day(first),
        )
    last_us = operators.last_end_us()
    if last_us < now_us() + OPERATOR_WARN_US:
        log.warning(
            "the last operator's certificate ends: let him run any command, which renews it, or "
            "make another one with kessai operator add",
            end=_day(datetime.fromtimestamp(last_us / 1e6, UTC)),
        )


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
