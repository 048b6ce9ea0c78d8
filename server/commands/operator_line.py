"""The operator's line to a running switch: who he is, where it is, and errors in plain words.

`call` asks; `change` changes something, under a request id that it is asked again by. An answer
that was lost is asked for again at once, for as long as a call may take; after that the outcome is
unknown, and the error tells how to ask.
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

from kessai.channel import RETRY_FIRST_S, ask_why, open_channel
from kessai.complaint import Complaint, Interrupted
from kessai.device_identity import DeviceIdentity, load_identity
from kessai.line_trouble import trouble_in
from kessai.patience import told_if_slow
from kessai.request_id import RequestIdError, format_request_id, new_request_id, parse_request_id
from server import data_folder
from server.commands.operator_renewal import keep_in_date, require_in_date

DEADLINE_S = 10.0
# For a switch that is just starting, or a handshake that a busy machine draws out.
LINE_S = 3.0

# After these the switch may have done what it was asked. What it says itself comes with details.
_OPEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}
_DETAILS = "grpc-status-details-bin"

Answer = TypeVar("Answer")
Talk = Callable[[grpc.aio.Channel], Awaitable[Answer]]


def call(data: Path | None, identity: Path | None, talk: Talk[Answer]) -> Answer:
    """Ask the switch as the operator; Complaint if that fails, in one line."""
    line = _Line(data, identity)
    try:
        with told_if_slow(line.name):
            return asyncio.run(line.run(talk))
    except grpc.aio.AioRpcError as error:
        raise Complaint(line.explain(error)) from None


def change(data: Path | None, identity: Path | None, request_id: str, talk: Talk[Answer]) -> Answer:
    """Have the switch do something under a request id; "" for what needs none: again, no harm.

    Complaint if it was refused; if the outcome is unknown it says so, and how to ask again.
    """
    line = _Line(data, identity)
    try:
        with told_if_slow(line.name):
            return asyncio.run(line.run(talk, asks_again=True))
    except grpc.aio.AioRpcError as error:
        if not _is_open(error):
            raise Complaint(line.explain(error)) from None
        if _is_from_switch(error):
            raise Complaint(f"{line.explain(error)} {_how_to_ask(request_id)}") from None
        raise Complaint(f"{line.explain(error)} {_ask_again(request_id)}") from None
    except _LineLost:
        raise Complaint(
            f"the line to the switch at {line.address} was lost. {_ask_again(request_id)}"
        ) from None
    except KeyboardInterrupt:
        if not line.has_sent:
            raise Interrupted("stopped; nothing was sent") from None
        raise Interrupted(f"stopped before the answer came. {_ask_again(request_id)}") from None


def request_id_of(given: str) -> str:
    """The request id that an operator asks again by, or a new one; Complaint if it is none."""
    if not given:
        return format_request_id(new_request_id(time.time_ns() // 1_000_000, os.urandom))
    try:
        return format_request_id(parse_request_id(given))
    except RequestIdError as error:
        raise Complaint(f"--request-id: {error}. Nothing was done.") from None


class _LineLost(Exception):
    """The line was lost after something was sent, and the switch did not come back."""


class _Line:
    """A line that is opened for one command."""

    def __init__(self, data: Path | None, identity: Path | None) -> None:
        self._folder = identity or Path(data or "", "operator")
        self._who = _operator(data, identity)
        require_in_date(self._who)
        self.has_sent = False

    @property
    def address(self) -> str:
        """The host:port that it calls."""
        return self._who.server_address

    @property
    def name(self) -> str:
        """What is waited for, for people."""
        return f"the switch at {self.address}"

    async def run(self, talk: Talk[Answer], asks_again: bool = False) -> Answer:
        """Open it and talk; if the answer is lost, again until the deadline is over."""
        end = asyncio.get_running_loop().time() + DEADLINE_S
        while True:
            try:
                async with open_channel(self._who) as channel:
                    await self._ready(channel)
                    await keep_in_date(self._folder, self._who, channel)
                    self.has_sent = True
                    return await talk(channel)
            except grpc.aio.AioRpcError as error:
                if not asks_again or not _is_lost(error):
                    raise
            if asyncio.get_running_loop().time() >= end:
                raise _LineLost
            await asyncio.sleep(RETRY_FIRST_S)

    async def _ready(self, channel: grpc.aio.Channel) -> None:
        try:
            async with asyncio.timeout(LINE_S):
                await channel.channel_ready()
        except TimeoutError:
            if self.has_sent:
                raise _LineLost from None
            why = await ask_why(channel)
            raise Complaint(why or _nobody(self.address)) from None

    def explain(self, error: grpc.aio.AioRpcError) -> str:
        """What an error means, in a sentence."""
        if _is_lost(error):
            return trouble_in(error.details()) or _nobody(self.address)
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"the switch at {self.address} did not answer in {DEADLINE_S:g} s."
        return _sentence(error.details() or error.code().name)


def _operator(data: Path | None, identity: Path | None) -> DeviceIdentity:
    if data is None and identity is None:
        raise Complaint("say which switch: --data FOLDER on its machine, or --identity FOLDER")
    if data is not None and not data.is_dir():
        raise Complaint(
            f"there is no folder {data}. Nothing was done. Look at --data, or at KESSAI_DATA; a "
            f"switch's folder is made with: kessai init --data {data}"
        )
    who = load_identity(identity or Path(data or "", "operator"))
    running = data_folder.read_running(data) if data else None
    return dataclasses.replace(who, server_address=running.address) if running else who


def _is_lost(error: grpc.aio.AioRpcError) -> bool:
    return error.code() is grpc.StatusCode.UNAVAILABLE and not _is_from_switch(error)


def _is_open(error: grpc.aio.AioRpcError) -> bool:
    """Whether what was asked may have been done after all."""
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return True
    return error.code() in _OPEN


def _is_from_switch(error: grpc.aio.AioRpcError) -> bool:
    return any(key == _DETAILS for key, _ in error.trailing_metadata() or ())


def _ask_again(request_id: str) -> str:
    return f"The outcome is unknown. {_how_to_ask(request_id)}"


def _how_to_ask(request_id: str) -> str:
    if not request_id:
        return "Run it again: what was done is not done twice."
    return f"Run the same command again with --request-id {request_id}: it is done once at most."


def _nobody(address: str) -> str:
    return f"no switch answers at {address}. Start it with kessai serve, or check the address."


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
