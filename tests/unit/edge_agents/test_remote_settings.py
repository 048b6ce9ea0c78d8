"""Settings from afar: kept durably, and only those that this version knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agents.remote_settings import FILE_NAME, RemoteSettings
from kessai.v1.fleet_pb2 import DeviceConfig, DeviceSetting


def config(version: int, **values: int) -> DeviceConfig:
    """Say how a terminal is configured."""
    settings = [DeviceSetting(key=key, value=value) for key, value in values.items()]
    return DeviceConfig(version=version, settings=settings)


def test_what_is_set_stays(tmp_path: Path) -> None:
    """Also after a restart; a newer configuration takes its place."""
    settings = RemoteSettings(tmp_path)
    assert (settings.version, settings.values) == (0, {})
    settings.take(config(1, offline_waiting_count=7))
    settings.take(config(2, offline_waiting_count=8, deny_list_age_s=60))
    again = RemoteSettings(tmp_path)
    assert again.version == settings.version == 2
    assert again.values == settings.values == {"offline_waiting_count": 8, "deny_list_age_s": 60}


def test_what_it_does_not_know_is_left_out(tmp_path: Path) -> None:
    """A newer switch's settings, and values that it may not have."""
    settings = RemoteSettings(tmp_path)
    settings.take(config(3, colour=1, deny_list_age_s=-5, offline_waiting_count=2))
    assert (settings.version, settings.values) == (3, {"offline_waiting_count": 2})


@pytest.mark.parametrize(
    "content", [b"", b"rust", b"[]", b"{}", b'{"values": 3}', b'{"values": {"a": "b"}}']
)
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    """It is fetched again, because version 0 is never the newest."""
    (tmp_path / FILE_NAME).write_bytes(content)
    settings = RemoteSettings(tmp_path)
    assert (settings.version, settings.values) == (0, {})


def test_the_file_is_plain(tmp_path: Path) -> None:
    """An operator on the machine can read it."""
    RemoteSettings(tmp_path).take(config(1, offline_waiting_count=7))
    content = json.loads((tmp_path / FILE_NAME).read_bytes())
    assert content == {"version": 1, "values": {"offline_waiting_count": 7}}
