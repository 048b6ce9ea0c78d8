"""The operator's line to a running switch: who he is, where it is, and errors in plain words.

Used by the commands in this folder.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio

from kessai.channel import open_channel
from kessai.complaint import Complaint
from kessai.device_identity import load_identity
from kessai.request_id import format_request_id, new_request_id
from server import data_folder

DEADLINE_S = 10.0
# For a switch that is just starting, or a handshake that a busy machine draws out.
LINE_S = 3.0

Answer = TypeVar("Answer")


def call(
    data: Path | None,
    identity: Path | None,
    talk: Callable[[grpc.aio.Channel], Awaitable[Answer]],
) -> Answer:
    """Talk to the switch as the operator; Complaint if that fails, in one line."""
    if data is None and identity is None:
        raise Complaint("say which switch: --data FOLDER on its machine, or --identity FOLDER")
    who = load_identity(identity or Path(data or "", "operator"))
    running = data_folder.read_running(data) if data else None
    if running:
        who = dataclasses.replace(who, server_address=running.address)

    async def run() -> Answer:
        async with open_channel(who) as channel:
            await _ready(channel, who.server_address)
            return await talk(channel)

    try:
        return asyncio.run(run())
    except grpc.aio.AioRpcError as error:
        raise Complaint(_explain(error, who.server_address)) from None


def fresh_request_id() -> str:
    """Make a request id for one command."""
    return format_request_id(new_request_id(time.time_ns() // 1_000_000, os.urandom))


async def _ready(channel: grpc.aio.Channel, address: str) -> None:
    try:
        async with asyncio.timeout(LINE_S):
            await channel.channel_ready()
    except TimeoutError:
        raise Complaint(_nobody(address)) from None


def _nobody(address: str) -> str:
    return f"no switch answers at {address}. Start it with kessai serve, or check the address."


def _explain(error: grpc.aio.AioRpcError, address: str) -> str:
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        # What the switch itself says comes with details; without them nobody answered.
        if any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ()):
            return error.details() or "the account store is not available"
        return _nobody(address)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return (
            f"the switch at {address} did not answer in {DEADLINE_S:g} s; "
            "the outcome is unknown: look before you repeat it."
        )
    return error.details() or error.code().name
