"""An operator's certificate over the years: renewed in time, named when it has ended, made anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kessai.device_identity import load_identity
from server import data_folder
from server.identity.certificates import DAY_US
from server.shards.address import sqlite_urls
from tests.running import RunningSwitch, kessai
from tests.unit.server.switch.in_process import CONFIG, now_us


def made_days_ago(folder: Path, days: int) -> Path:
    """A data folder that was made so many days ago, and its offline root beside it."""
    config = CONFIG.model_copy(update={"drain_s": 1})
    began_us = now_us() - days * DAY_US
    data_folder.create(folder, "switch.test", sqlite_urls(1), config, lambda: began_us, os.urandom)
    shutil.move(folder / "offline-root", folder.with_name("root"))
    return folder


def complaint_of(*words: str) -> str:
    """What a command says that refuses."""
    ended = kessai(*words, check=False)
    assert ended.returncode != 0
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def test_a_certificate_renews_itself_when_its_year_is_late(tmp_path: Path) -> None:
    """With any command that he runs; it stands in the audit log, once."""
    folder = made_days_ago(tmp_path / "data", 300)
    before = load_identity(folder / "operator")
    switch = RunningSwitch.start(folder)
    try:
        for _ in range(2):
            kessai("operator", "list", "--data", str(folder))
        after = load_identity(folder / "operator")
        assert after.expire_us - before.expire_us == pytest.approx(300 * DAY_US, abs=DAY_US)
        assert after.key_pem != before.key_pem
        records = kessai("audit", "--json", "--data", str(folder)).stdout
        assert records.count("DeviceService/RenewCertificate") == 1
    finally:
        switch.stop()


def test_who_cannot_be_renewed_is_warned(tmp_path: Path) -> None:
    folder = made_days_ago(tmp_path / "data", 320)
    switch = RunningSwitch.start(folder)
    try:
        (folder / "operator" / "tls.key.next").mkdir()  # nothing can be written there
        said = kessai("operator", "list", "--data", str(folder)).stderr
        assert "the certificate of operator/operator ends on" in " ".join(said.split())
        assert "was not renewed" in " ".join(said.split())
    finally:
        switch.stop()


def test_an_ended_certificate_is_named(tmp_path: Path) -> None:
    """And not taken for a switch that does not answer."""
    folder = made_days_ago(tmp_path / "data", 400)
    said = complaint_of("device", "list", "--identity", str(folder / "operator"))
    assert "the certificate of operator/operator ended on" in said
    assert "kessai operator add operator" in said


def test_the_offline_root_makes_authorities_and_operators_anew(tmp_path: Path) -> None:
    """After ten years nothing of the switch is good any more but its root."""
    folder = made_days_ago(tmp_path / "data", 3660)
    reissue = ("operator", "reissue", "ann", "--data", str(folder), "--offline-root")
    (tmp_path / "wrong").mkdir()
    shutil.copy(folder / "identity" / "phones-ca.key", tmp_path / "wrong" / "root.key")
    assert "holds another root's key" in complaint_of(*reissue, str(tmp_path / "wrong"))
    assert "the root cannot be read" in complaint_of(*reissue, str(tmp_path / "none"))
    kessai(*reissue, str(tmp_path / "root"))
    switch = RunningSwitch.start(folder)
    try:
        as_ann = ("--identity", str(folder / "operator-ann"), "--data", str(folder))
        assert "operator/ann" in kessai("operator", "list", *as_ann).stdout
        assert "ReissueAuthority" in kessai("audit", "--json", *as_ann).stdout
    finally:
        switch.stop()
