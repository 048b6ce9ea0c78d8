"""The register's configuration: flag > KESSAI_AGENT_* in the environment > TOML file > default.

Read once at start. A value that cannot be is one Complaint that names where it came from, the key,
and what is allowed. Relative paths in the file count from the file's folder.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from edge_agents.devices.serial_line import FlowControl
from kessai.complaint import Complaint
from kessai.currency import BY_CODE

ENV_PREFIX = "KESSAI_AGENT_"

SAMPLE_PRICES = Path(__file__).parent / "prices" / "corner_shop.csv"

Baudrate = Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]


class RegisterConfig(BaseSettings):
    """What a register needs to know. A description is also the comment in the printed sample."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    folder: Path = Field(
        Path("register"),
        description="The folder that `kessai agent pair` made. The journal is kept there too.",
    )
    reader: str = Field(
        "usb",
        min_length=1,
        description="NFC reader: usb, pn532:/dev/ttyUSB0, tty:USB0:pn532 or udp:127.0.0.1:54321.",
    )
    scanner: Path = Field(Path("/dev/ttyACM0"), description="Serial line of the bar code scanner.")
    scanner_baudrate: Baudrate = Field(9600, description="Its speed, 1200 to 115200.")
    display: Path = Field(Path("/dev/ttyUSB1"), description="Serial line of the 2x20 display.")
    display_baudrate: Baudrate = Field(9600, description="Its speed.")
    printer: Path = Field(Path("/dev/ttyUSB2"), description="Serial line of the receipt printer.")
    printer_baudrate: Baudrate = Field(19200, description="Its speed.")
    printer_flow_control: FlowControl = Field(
        "none", description="How it says that it is full: none, rtscts, dsrdtr or xonxoff."
    )
    price_list: Path = Field(
        SAMPLE_PRICES,
        description="The goods, a CSV file. Without it the sample is sold: `kessai agent prices`.",
        examples=["prices.csv"],
    )
    currency: str | None = Field(
        None,
        description="ISO 4217 code. Needed if the price list does not name its currency.",
        examples=["EUR"],
    )
    request_seconds: int = Field(
        60, ge=10, le=120, description="How long a customer may take to pay, 10 to 120 seconds."
    )

    @field_validator("currency")
    @classmethod
    def _check_currency(cls, code: str | None) -> str | None:
        if code is not None and code not in BY_CODE:
            raise ValueError("should be a code of ISO 4217, such as EUR")
        return code


def load_config(path: Path | None, flags: Mapping[str, Any]) -> RegisterConfig:
    """Read the configuration; flags that are None count as not given.

    Complaint for a file that cannot be read, a key that is unknown, or a value that is wrong.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    in_file = _read_file(path) if path is not None else {}

    class Layered(RegisterConfig):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, in_file)

    try:
        return Layered(**given)
    except ValidationError as error:
        raise _complaint(error.errors()[0], path, given) from None


def sample_config() -> str:
    """Write a TOML file with every key, each with a comment; what has no good default is off."""
    lines = ["# The configuration of a Kessai register.", "#"]
    lines += ["# A flag of `kessai agent register` goes before an environment variable"]
    lines += [f"# ({ENV_PREFIX}READER=...), and that before what stands here."]
    for key, field in RegisterConfig.model_fields.items():
        value = field.examples[0] if field.examples else field.default
        setting = f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"'
        lines += ["", f"# {field.description}", f"# {setting}" if field.examples else setting]
    return "\n".join(lines) + "\n"


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Complaint(
            f"The config {path} cannot be read: {error}. `kessai agent config` prints a good one."
        ) from None
    for key, field in RegisterConfig.model_fields.items():
        if field.annotation is Path and isinstance(values.get(key), str):
            values[key] = path.parent / values[key]
    return values


def _complaint(error: ErrorDetails, path: Path | None, flags: Mapping[str, Any]) -> Complaint:
    key = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        known = ", ".join(RegisterConfig.model_fields)
        return Complaint(f'The config {path} has an unknown key "{key}". There are: {known}.')
    where = f"The config {path}"
    if key in flags:
        where = f"The flag --{key.replace('_', '-')}"
    elif os.environ.get(ENV_PREFIX + key.upper()):
        where = f"The environment variable {ENV_PREFIX}{key.upper()}"
    allowed = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return Complaint(f"{where} is wrong: {key} {allowed}, and not {error['input']!r}.")
