"""The switch's configuration: flag > KESSAI_* in the environment > kessai.toml > default.

`kessai init` writes the file with every key and its meaning. What is wrong in it becomes one line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from kessai.complaint import Complaint
from kessai.money import Money, MoneyError
from server.identity.enrollment import RENEWALS_A_DAY
from server.identity.holders import CREDENTIALS_A_DAY
from server.shards.clock_watch import STEP_LIMIT_S

CONFIG_FILE = "kessai.toml"
_ALL_HOSTS = {"0.0.0.0", "[::]"}  # noqa: S104
OTHER_LIMIT_MINOR, OTHER_FOUR_EYES_MINOR = 1_000_000, 100_000

SAMPLE = """\
# Configuration of a Kessai switch. Every key may also be set in the environment as KESSAI_<KEY>.
# Addresses are host:port; port 0 takes a free port (kessai prints which).

# Where terminals and phones call, over mutual TLS.
listen = "{listen}"

# Where devices are paired: TLS, but the device has no certificate yet.
pairing_listen = "{pairing_listen}"

# Where Prometheus reads /metrics, in plain HTTP. "" turns it off. Keep it inside your own network.
metrics_listen = "{metrics_listen}"

# The name or address by which devices reach this switch; it is put into pairing codes.
public_host = "{public_host}"

# Further names and addresses that the server's certificate is to carry.
other_hosts = []

# How many calls a second one device may make, and how many payments a second it may bring in
# batches. What it does not use is saved up for four seconds; operators and fleets' servers have ten
# times as much.
calls_per_second = {calls_per_second}
batch_payments_per_second = {batch_payments_per_second}

# How many lines one address may have to the main port, and to the one where devices are paired. A
# shop whose tills are behind one address needs one line a till.
lines_per_address = {lines_per_address}
pairing_lines_per_address = {pairing_lines_per_address}

# How long a stopping switch waits for calls under way, in seconds.
drain_s = 10

# How many processes write the shards on this machine's disks; 0: this one does, on a thread.
# One leaves this process to the wire; batches gain by as many as there are cores.
shard_processes = 1

# A step of this machine's clock by more than so many seconds stops booking, until it is right again
# or an operator confirms it: kessai clock confirm
clock_step_s = 60

# How often the auxiliaries of busy payees are merged into their accounts, in seconds.
merge_every_s = 5

# The most that one payment may be which terminals accept of a phone while this switch is out of
# reach, in minor units of the phone's account; 0: nothing. It stands in the phones' credentials.
offline_limit_minor = 2000

# How often one device may have its certificate renewed, and one phone its credential, in a day. A
# device needs one renewal in some days; the limit keeps a hostile one from filling the disk.
renewals_per_device_and_day = 24
credentials_per_device_and_day = 48

# Where `kessai shards add` may make shards, besides shards/ in this folder and the servers that
# have some already: absolute folders, and servers as "host:port".
shard_roots = []
shard_servers = []

# The most that one operator may pay out in cash in any 24 hours, one amount a currency. A currency
# that is not listed has 1,000,000 minor units (10,000.00).
withdrawal_limit_per_operator_and_day = ["10000.00 EUR"]

# Whether a second operator must confirm what gives power over money: pairing a phone, adding an
# operator, and cash that one moves in any 24 hours, in and out together, from these amounts on (a
# currency that is not listed: 100,000 minor units). Set it once there are two operators (kessai
# operator add); a stolen key alone then moves less than that.
four_eyes = false
four_eyes_cash_from = ["1000.00 EUR"]

# Whether totals that end in 9001 to 9201 minor units are declined, late or not answered on purpose,
# for developers of terminals. Only on books that were made with: kessai init --test-amounts
test_amounts = {test_amounts}

# What is logged: "debug" (every call), "info" or "warning".
log_level = "info"
"""


class ServerConfig(BaseSettings):
    """The keys of kessai.toml."""

    model_config = SettingsConfigDict(env_prefix="KESSAI_", extra="forbid", frozen=True)

    listen: str = "127.0.0.1:7443"
    pairing_listen: str = "127.0.0.1:7444"
    metrics_listen: str = "127.0.0.1:7445"
    public_host: str = Field(default="127.0.0.1", min_length=1, max_length=253)
    other_hosts: tuple[str, ...] = ()
    calls_per_second: float = Field(default=50, ge=1, le=1_000_000)
    batch_payments_per_second: float = Field(default=250, ge=1, le=1_000_000)
    lines_per_address: int = Field(default=256, ge=1, le=65_536)
    pairing_lines_per_address: int = Field(default=32, ge=1, le=65_536)
    drain_s: int = Field(default=10, ge=0, le=600)
    shard_processes: int = Field(default=1, ge=0, le=64)
    clock_step_s: int = Field(default=STEP_LIMIT_S, ge=1, le=86_400)
    merge_every_s: float = Field(default=5, ge=0.01, le=86_400)
    offline_limit_minor: int = Field(default=2000, ge=0, le=10**12)
    renewals_per_device_and_day: int = Field(default=RENEWALS_A_DAY, ge=1, le=10_000)
    credentials_per_device_and_day: int = Field(default=CREDENTIALS_A_DAY, ge=1, le=10_000)
    shard_roots: tuple[str, ...] = ()
    shard_servers: tuple[str, ...] = ()
    withdrawal_limit_per_operator_and_day: tuple[str, ...] = ("10000.00 EUR",)
    four_eyes: bool = False
    four_eyes_cash_from: tuple[str, ...] = ("1000.00 EUR",)
    test_amounts: bool = False
    log_level: Literal["debug", "info", "warning"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment go before the file, whose values come as arguments."""
        return env_settings, init_settings

    @field_validator("listen", "pairing_listen", "metrics_listen")
    @classmethod
    def _is_address(cls, value: str, info: ValidationInfo) -> str:
        host, _, port = value.rpartition(":")
        may_be_off = info.field_name == "metrics_listen" and value == ""
        if not may_be_off and not (
            host and port.isascii() and port.isdigit() and int(port) < 65536
        ):
            raise ValueError('an address is "host:port", with a port from 0 to 65535')
        return value

    @field_validator("withdrawal_limit_per_operator_and_day", "four_eyes_cash_from")
    @classmethod
    def _are_amounts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            amounts = [_amount(text) for text in value]
        except MoneyError as error:
            raise ValueError(str(error)) from None
        if len({amount.currency for amount in amounts}) < len(amounts):
            raise ValueError("a currency stands there twice")
        if any(amount.minor < 0 for amount in amounts):
            raise ValueError("an amount must not be negative")
        return value

    @model_validator(mode="after")
    def _are_ports_apart(self) -> Self:
        for one, other in combinations(("listen", "pairing_listen", "metrics_listen"), 2):
            if _clash(getattr(self, one), getattr(self, other)):
                raise ValueError(f"{one} and {other} are the same port; give each its own")
        return self

    def withdrawal_limit(self, currency: str) -> int:
        """The most cash of a currency that an operator may pay out in a day, minor units."""
        return _of(self.withdrawal_limit_per_operator_and_day, currency, OTHER_LIMIT_MINOR)

    def cash_for_four_eyes(self, currency: str) -> int:
        """From which amount of cash on a second operator is needed, in minor units."""
        return _of(self.four_eyes_cash_from, currency, OTHER_FOUR_EYES_MINOR)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names and addresses of the server's certificate."""
        return tuple(dict.fromkeys((self.public_host, *self.other_hosts, "localhost", "127.0.0.1")))


def _clash(one: str, other: str) -> bool:
    """Whether two addresses are the same port of this machine; port 0 is a free one."""
    (host, _, port), (host_2, _, port_2) = one.rpartition(":"), other.rpartition(":")
    is_same = port.isdigit() and port_2.isdigit() and int(port) == int(port_2) != 0
    return is_same and (host == host_2 or bool({host, host_2} & _ALL_HOSTS))


def _amount(text: str) -> Money:
    amount, _, currency = text.strip().rpartition(" ")
    return Money.parse(amount, currency)


def _of(amounts: tuple[str, ...], currency: str, other: int) -> int:
    by_currency = {amount.currency: amount.minor for amount in map(_amount, amounts)}
    return by_currency.get(currency, other)


def write_sample(config: ServerConfig) -> str:
    """Write a commented file with every key and its value."""
    values = config.model_dump()
    return SAMPLE.format(**values | {"test_amounts": str(config.test_amounts).lower()})


def load_config(folder: Path) -> ServerConfig:
    """Read a data folder's configuration; Complaint that names file, key and what is allowed."""
    path = folder / CONFIG_FILE
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise Complaint(
            f"there is no {path}. Make a data folder with: kessai init --data {folder}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise Complaint(f"{path} cannot be read: {error}. Nothing was done.") from None
    return check_config(values, str(path))


def check_config(values: Mapping[str, object], where: str) -> ServerConfig:
    """Make a configuration of values that stand in `where`; Complaint that names the wrong key."""
    try:
        return ServerConfig(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        is_unknown = problem["type"] == "extra_forbidden"
        reason = "there is no such key" if is_unknown else problem["msg"]
        reason = reason.removeprefix("Value error, ")
        at = f"{where}: {key}" if key else where
        raise Complaint(f"{at}: {reason}. Nothing was done.") from None
    except SettingsError as error:
        raise Complaint(
            f"KESSAI_* in the environment: {error}; a list is written as JSON. Nothing was done."
        ) from None
