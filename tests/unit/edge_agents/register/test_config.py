"""The configuration: who wins, and one clear line for everything that is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edge_agents.config import ENV_PREFIX, load_config, sample_config
from edge_agents.register.config import RegisterConfig
from kessai.complaint import Complaint


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in RegisterConfig.model_fields:
        monkeypatch.delenv(ENV_PREFIX + key.upper(), raising=False)


def write(folder: Path, text: str) -> Path:
    path = folder / "register.toml"
    path.write_text(text)
    return path


def test_flag_over_environment_over_file_over_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, 'reader = "file"\nrequest_seconds = 30\nscanner_baudrate = 19200\n')
    monkeypatch.setenv("KESSAI_AGENT_READER", "environment")
    monkeypatch.setenv("KESSAI_AGENT_REQUEST_SECONDS", "40")
    config = load_config(RegisterConfig, path, {"reader": "flag", "request_seconds": None})
    assert config.reader == "flag"
    assert config.request_seconds == 40
    assert config.scanner_baudrate == 19200
    assert config.printer_baudrate == 19200
    assert load_config(RegisterConfig, None, {}).reader == "environment"


def test_paths_in_the_file_count_from_its_folder(tmp_path: Path) -> None:
    path = write(tmp_path, 'scanner = "lines/scanner"\nprinter = "/dev/ttyUSB7"\n')
    config = load_config(RegisterConfig, path, {"display": Path("here")})
    assert config.scanner == tmp_path / "lines" / "scanner"
    assert config.printer == Path("/dev/ttyUSB7")
    assert config.display == Path("here")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("reader = ", ["register.toml", "cannot be read", "kessai agent config"]),
        ('raeder = "usb"', ["register.toml", '"raeder"', "reader"]),
        (
            "request_seconds = 121",
            ["register.toml", "request_seconds", "less than", "120"],
        ),
        (
            "request_seconds = 9",
            ["register.toml", "request_seconds", "greater than", "10"],
        ),
        ('request_seconds = "soon"', ["request_seconds", "integer", "soon"]),
        ("scanner_baudrate = 9601", ["scanner_baudrate", "9600", "115200"]),
        ('printer_flow_control = "maybe"', ["printer_flow_control", "rtscts"]),
        ('currency = "EURO"', ["currency", "ISO 4217"]),
        ('reader = ""', ["reader", "at least 1"]),
    ],
)
def test_a_wrong_file_names_key_and_what_is_allowed(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    with pytest.raises(Complaint) as raised:
        load_config(RegisterConfig, write(tmp_path, text), {})
    for word in words:
        assert word in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_wrong_flag_or_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Complaint, match="The flag --request-seconds is wrong"):
        load_config(RegisterConfig, write(tmp_path, ""), {"request_seconds": 5})
    monkeypatch.setenv("KESSAI_AGENT_REQUEST_SECONDS", "5")
    with pytest.raises(Complaint, match="environment variable KESSAI_AGENT_REQUEST_SECONDS"):
        load_config(RegisterConfig, None, {})


def test_a_missing_file_is_one_complaint(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="cannot be read"):
        load_config(RegisterConfig, tmp_path / "none.toml", {})


def test_the_sample_is_the_defaults_with_comments(tmp_path: Path) -> None:
    sample = sample_config(RegisterConfig, "register")
    values = tomllib.loads(sample)
    assert (
        load_config(RegisterConfig, write(tmp_path, sample), {}).reader
        == load_config(RegisterConfig, None, {}).reader
    )
    assert set(values) == set(RegisterConfig.model_fields) - {"currency", "price_list"}
    assert '# price_list = "prices.csv"' in sample
    for field in RegisterConfig.model_fields.values():
        assert field.description
        assert f"# {field.description}" in sample
