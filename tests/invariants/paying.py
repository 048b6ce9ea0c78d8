"""A switch's kernel that is paid at until it is killed; run as a process by `test_power_cut`.

It prints "sent <message>" before it settles a purchase, and "paid <request id> <receipt>" when the
answer is there: what a till stores before it sends, and what it was told. All in hex.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.request_id import new_request_id
from server.switch.register_purchase import RegisterPurchase
from tests.invariants.lossy_disk import LossyDisk
from tests.unit.server.domain.commands import NOW_US
from tests.unit.server.shards.parts import written_here
from tests.unit.server.switch.counter import Counter
from tests.unit.server.switch.delivering import delivering

SHARDS, TILLS = 4, 8


def counter_in(folder: Path, *, known: bool) -> Counter:
    """The same parties with the same keys in every process."""
    return Counter(
        folder,
        terminal_key=Ed25519PrivateKey.from_private_bytes(bytes(range(32))),
        phone_key=ec.derive_private_key(4711, ec.SECP256R1()),
        switch_key=Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))),
        sealing_key=X25519PrivateKey.from_private_bytes(bytes(range(2, 34))),
        known=known,
    )


def tell(word: str, *values: bytes) -> None:
    """Print a line, at once and whole."""
    line = " ".join([word, *(value.hex() for value in values)])
    os.write(1, f"{line}\n".encode())


async def pay_for_ever(counter: Counter, purchases: RegisterPurchase) -> None:
    """Buy one thing after another at a till."""
    while True:
        request_id = new_request_id(NOW_US // 1000, os.urandom)
        message = counter.pay(1, request_id)
        tell("sent", message.SerializeToString())
        receipt = await purchases.settle(message, request_id, "shop", "till-1")
        tell("paid", request_id, receipt.SerializeToString())


async def main(folder: Path, synchronous: str) -> None:
    """Pay at eight tills at once, with deposits going on."""
    counter = counter_in(folder, known=True)
    async with delivering(folder, SHARDS) as (shards, _):
        for number in range(SHARDS):
            store = written_here(shards, number)._store
            store._db.pragma("synchronous", synchronous)  # type: ignore[attr-defined]
        purchases = counter.purchases(shards)
        await asyncio.gather(*(pay_for_ever(counter, purchases) for _ in range(TILLS)))


if __name__ == "__main__":
    disk = LossyDisk()
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
