"""The configuration: where values come from, and one clear line for whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kessai.complaint import Complaint
from server.config import CONFIG_FILE, ServerConfig, load_config, write_sample


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's environment counts."""
    for key in ServerConfig.model_fields:
        monkeypatch.delenv(f"KESSAI_{key.upper()}", raising=False)


def write(folder: Path, text: str) -> Path:
    """Write a configuration."""
    (folder / CONFIG_FILE).write_text(text)
    return folder


def test_the_sample_is_the_default_and_names_every_key(tmp_path: Path) -> None:
    sample = write_sample(ServerConfig())
    assert load_config(write(tmp_path, sample)) == ServerConfig()
    for key in ServerConfig.model_fields:
        assert f"\n{key} = " in sample


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "")) == ServerConfig()


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 'listen = "127.0.0.1:1"\ndrain_s = 3\n')
    monkeypatch.setenv("KESSAI_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("KESSAI_OTHER_HOSTS", '["pay.example"]')
    config = load_config(tmp_path)
    assert (config.listen, config.drain_s, config.other_hosts) == (
        "127.0.0.1:2", 3, ("pay.example",),
    )  # fmt: skip
    assert config.hosts == ("127.0.0.1", "pay.example", "localhost")


def test_metrics_may_be_turned_off(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, 'metrics_listen = ""')).metrics_listen == ""


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('listen = ""', "listen"),
        ('listen = "7443"', "listen"),
        ('listen = "127.0.0.1:"', "listen"),
        ('listen = "127.0.0.1:65536"', "listen"),
        ('pairing_listen = "127.0.0.1:-1"', "pairing_listen"),
        ('metrics_listen = "127.0.0.1:x"', "metrics_listen"),
        ('public_host = ""', "public_host"),
        ("other_hosts = 5", "other_hosts"),
        ("drain_s = -1", "drain_s"),
        ("drain_s = 601", "drain_s"),
        ('drain_s = "soon"', "drain_s"),
        ('log_level = "loud"', "log_level"),
        ("lisen = 1", "lisen"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, text: str, key: str) -> None:
    """File, key and what is allowed, in one line."""
    with pytest.raises(Complaint) as complaint:
        load_config(write(tmp_path, text))
    message = str(complaint.value)
    assert message.startswith(f"{tmp_path / CONFIG_FILE}: {key}")
    assert "Nothing was done" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("listen = "),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
        lambda path: path.mkdir(),
    ],
    ids=["no TOML", "no text", "a folder"],
)
def test_an_unreadable_file_is_named(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    damage(tmp_path / CONFIG_FILE)
    with pytest.raises(Complaint, match=r"kessai\.toml cannot be read") as complaint:
        load_config(tmp_path)
    assert "\n" not in str(complaint.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="kessai init --data"):
        load_config(tmp_path / "nowhere")


def test_a_wrong_environment_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KESSAI_OTHER_HOSTS", "pay.example")
    with pytest.raises(Complaint, match="other_hosts") as complaint:
        load_config(write(tmp_path, ""))
    assert "\n" not in str(complaint.value)


@pytest.mark.parametrize(
    ("one", "other", "is_taken"),
    [
        ("127.0.0.1:7443", "127.0.0.1:7443", False),
        ("0.0.0.0:7443", "127.0.0.1:7443", False),
        ("127.0.0.1:7443", "127.0.0.1:07443", False),
        ("127.0.0.1:0", "127.0.0.1:0", True),
        ("10.0.0.1:7443", "127.0.0.1:7443", True),
    ],
)
def test_two_ports_are_not_the_same(tmp_path: Path, one: str, other: str, is_taken: bool) -> None:
    """Said at init and at serve, before anything is made or opened."""
    for pair in (("listen", "pairing_listen"), ("pairing_listen", "metrics_listen")):
        addresses = dict.fromkeys(("listen", "pairing_listen", "metrics_listen"), "127.0.0.1:0")
        addresses |= dict(zip(pair, (one, other), strict=True))
        folder = write(tmp_path, "".join(f'{key} = "{at}"\n' for key, at in addresses.items()))
        if is_taken:
            load_config(folder)
            continue
        with pytest.raises(Complaint, match=f"{pair[0]} and {pair[1]} are the same port"):
            load_config(folder)
