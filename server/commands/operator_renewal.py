"""An operator's certificate lasts a year: renewed by itself when he runs a command late in it.

Where it cannot be renewed he is warned before the end.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import grpc.aio

from kessai.complaint import Complaint
from kessai.console import Console, styled
from kessai.device_identity import DeviceIdentity
from kessai.enrollment import renew_if_due

WARN_US = 60 * 86_400_000_000


def require_in_date(who: DeviceIdentity) -> None:
    """Complaint if an operator's certificate has ended, or has not begun."""
    now_us, name = _now_us(), who.names[-1]
    if now_us < who.begin_us:
        raise Complaint(
            f"the certificate of {who.device} begins on {_day(who.begin_us)}, and this machine's "
            f"clock shows {_day(now_us)}. Nothing was done. Put the clock right."
        )
    if now_us >= who.expire_us:
        raise Complaint(
            f"the certificate of {who.device} ended on {_day(who.expire_us)}. Nothing was done. "
            f"Have another operator run: kessai operator add {name}. If there is none, stop the "
            f"switch and run it on its machine, with --folder NEW."
        )


async def keep_in_date(folder: Path, who: DeviceIdentity, channel: grpc.aio.Channel) -> None:
    """Renew the certificate if it is time; warn if that fails and its end is near.

    The one that he calls with now stays good to its end.
    """
    if not who.is_renewal_due(_now_us()):
        return
    try:
        await renew_if_due(folder, _now_us, channel)
    except (grpc.aio.AioRpcError, OSError, Complaint) as error:
        if who.expire_us - _now_us() < WARN_US:
            why = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
            says = "[yellow]warning:[/] the certificate of {} ends on {} and was not renewed ({})."
            errors = Console(stderr=True, soft_wrap=True)
            errors.print(styled(says, who.device, _day(who.expire_us), why))


def _now_us() -> int:
    return time.time_ns() // 1000


def _day(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
