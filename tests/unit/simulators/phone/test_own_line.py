"""The phone's own line where the switch is there and cannot be reached all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from kessai.request_id import format_request_id
from kessai.v1.payment_pb2 import SettlePaymentRequest
from simulators.phone.own_line import OwnLine
from tests.unit.server.ports import Switch, serving


async def test_trouble_with_a_certificate_is_named(tmp_path: Path) -> None:
    """Not told as a switch that is away; nothing is said where nobody is there."""
    (tmp_path / "other").mkdir()
    stranger = Switch(tmp_path / "other")
    async with serving(tmp_path) as switch:
        known = switch.identity("phone/ann/pixel")
        unknown = replace(known, root_pem=stranger.identity("phone/ann/pixel").root_pem)
        nobody = replace(known, server_address="127.0.0.1:1")
        request = SettlePaymentRequest(request_id=format_request_id(switch.request_id()))
        for identity, said in ((unknown, "not that switch's"), (nobody, "")):
            line = OwnLine(identity)
            try:
                answer = await asyncio.to_thread(line.submit, request, lambda seconds: True)
                assert answer is None
                assert line.trouble.removesuffix(".").endswith(said)
                assert bool(line.trouble) == bool(said)
            finally:
                line.close()
    stranger.directory.close()
