"""Work on the directory waits for the disk: it runs in a thread, off the event loop.

Servicers call identity through `in_thread`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from server.identity.refusals import CertificateRefused, DirectoryUnavailable
from server.shards.standing import CertificateRevoked
from server.shards.store import StoreUnavailable

P = ParamSpec("P")
Result = TypeVar("Result")


async def in_thread(work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Run it in a thread.

    DirectoryUnavailable if the directory cannot be written now, CertificateRefused if the caller
    was revoked meanwhile.
    """
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except StoreUnavailable as error:
        raise DirectoryUnavailable(str(error)) from None
    except CertificateRevoked:
        raise CertificateRefused(
            "this device was revoked meanwhile; nothing was issued. Ask the operator"
        ) from None
