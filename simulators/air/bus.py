"""A D-Bus message bus on a unix socket, as small as bluetoothd and its clients need it.

SASL, unique names, and the routing of calls, replies and signals between the clients and one
service that lives in the bus itself (`bluetoothd`). No daemon and no rights are needed. The codec
is dbus-fast's; it has no public way to read a message from bytes, so its version is pinned.
Source: D-Bus Specification 0.43.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import struct
from pathlib import Path
from typing import Any, Protocol

from dbus_fast import Message, MessageType
from dbus_fast._private.unmarshaller import Unmarshaller

BUS = "org.freedesktop.DBus"
CALL_LIMIT_S = 10.0
MAX_MESSAGE_BYTES = 1 << 20

Reply = tuple[str, list[Any]]

_FIXED_HEADER_BYTES = 16
_SASL_ANSWERS = {
    b"AUTH": b"OK 0123456789abcdef0123456789abcdef",
    b"NEGOTIATE_UNIX_FD": b"AGREE_UNIX_FD",  # none are ever sent
}


class BusError(Exception):
    """An error reply: its name, such as org.bluez.Error.Failed, and its text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name, self.text = name, text


class Service(Protocol):
    """Who answers on the bus."""

    async def answer(self, call: Message) -> Reply:
        """Answer a call: signature and body; BusError for an error."""
        ...

    def on_signal(self, signal: Message) -> None:
        """Hear what a client announces; `sender` says which."""
        ...

    def on_gone(self, client: str) -> None:
        """Take note that a client's connection ended."""
        ...


class _Client:
    def __init__(self, name: str, writer: asyncio.StreamWriter) -> None:
        self.name, self.writer = name, writer
        self.listens = False


class Bus:
    """The bus and its clients; all of it on one event loop."""

    def __init__(self, path: Path, service: Service) -> None:
        self._path, self._service = path, service
        self._clients: dict[str, _Client] = {}
        self._numbers, self._serials = itertools.count(1), itertools.count(1)
        self._waiting: dict[tuple[str, int], asyncio.Future[Message]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; OSError if the path cannot be used."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def close(self) -> None:
        """Hang up on everybody; the socket is gone."""
        if self._server is not None:
            self._server.close()
        self.hang_up()
        if self._connections:
            await asyncio.wait(self._connections, timeout=CALL_LIMIT_S)
        self._path.unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hang_up(self) -> None:
        """End every connection, as when the bus daemon is restarted."""
        for client in list(self._clients.values()):
            client.writer.close()

    def announce(self, signal: Message) -> None:
        """Send a signal of the service to every client that has asked for signals."""
        for client in self._clients.values():
            if client.listens:
                self._send(client, signal, "org.bluez")

    async def call(self, client: str, message: Message) -> list[Any]:
        """Call a method of a client; the body of its reply. BusError if it fails or leaves."""
        callee = self._clients.get(client)
        if callee is None:
            raise BusError(f"{BUS}.Error.NameHasNoOwner", client)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        message.serial = next(self._serials)
        self._waiting[client, message.serial] = reply
        self._send(callee, message, "org.bluez")
        try:
            async with asyncio.timeout(CALL_LIMIT_S):
                answer = await reply
        except TimeoutError:
            raise BusError(f"{BUS}.Error.NoReply", f"{client} did not reply") from None
        finally:
            self._waiting.pop((client, message.serial), None)
        if answer.message_type is MessageType.ERROR:
            raise BusError(answer.error_name or "", str(answer.body))
        return list(answer.body)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(f":1.{next(self._numbers)}", writer)
        connection = asyncio.current_task()
        if connection is not None:
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
            if await _authenticate(reader, writer):
                self._clients[client.name] = client
                while True:
                    self._route(client, await _read_message(reader))
        self._clients.pop(client.name, None)
        writer.close()
        for (name, _), reply in self._waiting.items():
            if name == client.name and not reply.done():
                reply.set_exception(BusError(f"{BUS}.Error.NoReply", f"{name} left"))
        self._service.on_gone(client.name)

    def _route(self, client: _Client, message: Message) -> None:
        message.sender = client.name
        if message.message_type is MessageType.METHOD_CALL:
            task = asyncio.ensure_future(self._answer(client, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif message.message_type is MessageType.SIGNAL:
            self._service.on_signal(message)
        else:
            reply = self._waiting.get((client.name, message.reply_serial or 0))
            if reply is not None and not reply.done():
                reply.set_result(message)

    async def _answer(self, client: _Client, call: Message) -> None:
        try:
            if call.destination == BUS:
                signature, body = self._answer_as_bus(client, call)
            else:
                signature, body = await self._service.answer(call)
            reply = Message.new_method_return(call, signature, body)
        except BusError as error:
            reply = Message.new_error(call, error.name, error.text)
        self._send(client, reply, call.destination or BUS)

    def _answer_as_bus(self, client: _Client, call: Message) -> Reply:
        if call.member == "Hello":
            return "s", [client.name]
        if call.member == "AddMatch":
            client.listens = True
            return "", []
        if call.member == "RemoveMatch":
            return "", []
        if call.member == "GetNameOwner":
            return "s", [":1.0"]
        raise BusError(f"{BUS}.Error.UnknownMethod", f"{call.member} is not played here")

    def _send(self, client: _Client, message: Message, sender: str) -> None:
        message.sender = sender
        if not message.serial or message.message_type is not MessageType.METHOD_CALL:
            message.serial = next(self._serials)
        if not client.writer.is_closing():
            client.writer.write(bytes(message._marshall(False)))


async def _authenticate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Let anybody in who begins as the specification says; he who owns the socket's folder may."""
    await reader.readexactly(1)
    while line := (await reader.readline()).strip():
        if line == b"BEGIN":
            return True
        writer.write(_SASL_ANSWERS.get(line.split(b" ")[0], b"ERROR") + b"\r\n")
    return False


async def _read_message(reader: asyncio.StreamReader) -> Message:
    header = await reader.readexactly(_FIXED_HEADER_BYTES)
    order = "<" if header[:1] == b"l" else ">"
    body_bytes, _, field_bytes = struct.unpack(f"{order}III", header[4:])
    rest = (field_bytes + 7) // 8 * 8 + body_bytes
    if rest > MAX_MESSAGE_BYTES:
        raise ValueError("a message that is too long")
    stream: Any = io.BytesIO(header + await reader.readexactly(rest))
    message = Unmarshaller(stream).unmarshall()
    if message is None:
        raise ValueError("what came is no message")
    return message
