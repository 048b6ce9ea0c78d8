"""Files that a switch, an agent or a phone kept in its folder, and finds damaged: identities, keys,
books.json, backup.json, settings, marks, offers, a certificate's use under way, the vault."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.certificate.pending import Pending
from edge_agents.config import load_config
from edge_agents.entrance.config import EntranceConfig
from edge_agents.remote_settings import RemoteSettings
from edge_agents.terminal import load_or_make_signing_key
from edge_agents.ticket_machine import shelf
from kessai.device_identity import load_identity
from kessai.log_marks import LogMarks
from kessai.money import Money
from kessai.v1.fleet_pb2 import DeviceConfig
from kessai.v1.ticket_pb2 import ListTicketOffersResponse, Redemption, TicketOffer
from server.backup_manifest import (
    FORMAT,
    Manifest,
    file_faults,
    read_manifest,
    write_manifest,
)
from server.data_folder import Running, announce, read_books, read_running
from server.identity.authority import Authority
from server.identity.keyring import Keyring
from server.shards.address import addresses, sqlite_urls
from server.shards.books_file import Books, write_books
from server.shards.placement import SlotMap
from simulators.phone.holder_key import HolderKey
from simulators.phone.vault import Vault, VaultLocked, WrongPin
from tests.fuzz.mangling import bytes_like, examples, read_or_complain
from tests.unit.edge_agents.parties import make_pending, make_receipt, sign_receipt
from tests.unit.simulators.phone.counter import PIN, Counter

Read = Callable[[Path], object]


def identity(folder: Path) -> object:
    """What a daemon asks of its identity before it dials."""
    read = load_identity(folder)
    return (read.device, read.switch_key, read.sealing_key, read.expire_us, read.server_address)


def books(folder: Path) -> object:
    return read_books(folder).addresses(folder)


def manifest(folder: Path) -> object:
    """What `kessai restore` asks of a backup first."""
    said = read_manifest(folder)
    return (list(file_faults(folder, said)), addresses(said.urls, folder, said.books_id))


def marks(folder: Path) -> object:
    return list(LogMarks(folder).pages())


def keyring(folder: Path) -> object:
    return Keyring.load(folder).signing_key.public_key()


def authority(folder: Path) -> object:
    return Authority.load(folder, lambda: 0)


def vault(folder: Path) -> object:
    opened = Vault(folder)
    opened.open_small(Money(100, "EUR"))
    try:
        return opened.unlock(PIN)
    except (WrongPin, VaultLocked):
        return None


def holder(folder: Path) -> object:
    return HolderKey(folder, Counter().switch_key.public_key()).public_key


def door_key(folder: Path) -> object:
    flags = {"events": "concert", "door_key": folder / "door.key"}
    return load_config(EntranceConfig, None, flags).read_door_key()


# Which file of which folder -> who reads it.
FILES: dict[str, tuple[str, str, Read]] = {
    "identity": ("phone", "device.json", identity),
    "accounts": ("phone", "accounts.json", identity),
    "certificate": ("phone", "tls.crt", identity),
    "TLS key": ("phone", "tls.key", identity),
    "trust": ("phone", "trust.bin", identity),
    "vault": ("phone", "vault.json", vault),
    "holder key": ("phone", "holder.key", holder),
    "credential": ("phone", "holder.bin", holder),
    "signing key": ("agent", "signing.key", load_or_make_signing_key),
    "settings": ("agent", "settings.json", RemoteSettings),
    "marks": ("agent", "log-marks.json", marks),
    "redemption": ("agent", "certificate.pending", lambda folder: Pending(folder).read()),
    "offers": ("agent", "offers.binpb", lambda folder: shelf._read(folder / "offers.binpb")),
    "door key": ("agent", "door.key", door_key),
    "books": ("switch", "books.json", books),
    "manifest": ("backup", "backup.json", manifest),
    "running": ("switch", "running.json", read_running),
    "sealing key": ("switch", "sealing.key", keyring),
    "authority": ("switch", "devices-ca.crt", authority),
    "authority's key": ("switch", "devices-ca.key", authority),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phone's, an agent's and a switch's folder, all good."""
    made = tmp_path_factory.mktemp("folders")
    Counter().pair(made / "phone")
    HolderKey(made / "phone", Counter().switch_key.public_key())
    (made / "phone" / "holder.bin").write_bytes(b"\x0a\x01x")
    agent = made / "agent"
    load_or_make_signing_key(agent)
    RemoteSettings(agent).take(DeviceConfig(version=3))
    LogMarks(agent).keep(sign_receipt(make_receipt(make_pending())))
    Pending(agent).keep(Redemption(request_id="019a0000-0000-7000-8000-000000000000"))
    offers = ListTicketOffersResponse(offers=[TicketOffer(offer_id="adult", title="Adult")])
    (agent / "offers.binpb").write_bytes(offers.SerializeToString())
    (agent / "door.key").write_text("0a" * 16)
    switch = made / "switch"
    switch.mkdir()
    write_books(switch, Books("books", tuple(sqlite_urls(2)), SlotMap.even(2)))
    announce(switch, Running(1, "127.0.0.1:1", "127.0.0.1:2", ""))
    (made / "backup").mkdir()
    urls = tuple(sqlite_urls(1))
    write_manifest(made / "backup", Manifest(FORMAT, "books", 1, False, (7,), urls, {"a": "0a"}))
    Keyring.create(switch, bytes)
    Authority.create(switch, made / "root", "pay.example", lambda: time.time_ns() // 1000)
    return made


@pytest.mark.parametrize("name", FILES)
@examples(1)
@given(data=st.data())
def test_a_damaged_file(tmp_path: Path, folders: Path, name: str, data: st.DataObject) -> None:
    """It is read, begun anew, or complained about; the good one is read afterwards."""
    kind, file_name, read = FILES[name]
    folder = tmp_path / kind
    shutil.copytree(folders / kind, folder, dirs_exist_ok=True)
    good = (folder / file_name).read_bytes()
    (folder / file_name).write_bytes(data.draw(bytes_like(good)))
    read_or_complain(lambda: read(folder))
    (folder / file_name).write_bytes(good)
    assert read(folder) is not None


def spoilt(value: Any) -> Iterator[Any]:  # noqa: ANN401
    """A JSON value with something of another kind in each place of it."""
    yield from (None, [], {}, "", "x", 0, -1, 10**30, 1.5, True, [[]])
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {other: each for other, each in value.items() if other != key}
            yield from (value | {key: other} for other in spoilt(inner))
    if isinstance(value, list):
        for other in spoilt(value[0]) if value else ():
            yield [other, *value[1:]]


@pytest.mark.parametrize("name", [name for name, what in FILES.items() if ".json" in what[1]])
def test_json_of_another_form(tmp_path: Path, folders: Path, name: str) -> None:
    """Each value in turn is missing or of another kind; and brackets without end."""
    kind, file_name, read = FILES[name]
    folder = tmp_path / kind
    shutil.copytree(folders / kind, folder)
    good = json.loads((folder / file_name).read_bytes())
    for text in (*map(json.dumps, spoilt(good)), "[" * 100_000):
        (folder / file_name).write_text(text)
        read_or_complain(lambda: read(folder))
