"""Reading an agent's configuration: flag > KESSAI_AGENT_* in the environment > TOML file > default.

Every agent has its own model (`register.config`, `gate.config`), read once at start. A value that
cannot be is one Complaint that names where it came from, the key, and what is allowed. Relative
paths in the file count from the file's folder.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from kessai.complaint import Complaint

ENV_PREFIX = "KESSAI_AGENT_"

# Keys of former versions, and where that is set now.
MOVED = {
    "minimum_balance": "the operator sets it for all gates of a carrier, with "
    "`kessai merchant minimum-balance`"
}

Baudrate = Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]


class AgentConfig(BaseModel):
    """What an agent needs to know. A description is also the comment in the printed sample."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    offline_days: int = Field(
        0,
        ge=0,
        le=7,
        description="Days in which a payment must reach the switch that was accepted while it was "
        "out of reach, 1 to 7; 0: none is accepted.",
    )


Model = TypeVar("Model", bound=AgentConfig)


def load_config(model: type[Model], path: Path | None, flags: Mapping[str, Any]) -> Model:
    """Read the configuration of an agent; flags that are None count as not given.

    Complaint for a file that cannot be read, a key that is unknown, or a value that is wrong.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    in_file = _read_file(model, path) if path is not None else {}
    try:
        return model.model_validate(in_file | _in_environment(model) | given)
    except ValidationError as error:
        raise _complaint(model, error.errors()[0], path, given) from None


def sample_config(model: type[AgentConfig], agent: str) -> str:
    """Write a TOML file with every key, each with a comment; what has no good default is off."""
    lines = [f"# The configuration of: kessai agent {agent}", "#"]
    lines += [f"# A flag of `kessai agent {agent}` goes before an environment variable"]
    lines += [f"# ({ENV_PREFIX}READER=...), and that before what stands here."]
    for key, field in model.model_fields.items():
        value = field.examples[0] if field.examples else field.default
        value = str(value).lower() if isinstance(value, bool) else value
        is_bare = isinstance(value, int) or value in ("true", "false")
        setting = f"{key} = {value}" if is_bare else f'{key} = "{value}"'
        lines += ["", f"# {field.description}", f"# {setting}" if field.examples else setting]
    return "\n".join(lines) + "\n"


def _in_environment(model: type[AgentConfig]) -> dict[str, str]:
    """Read what the environment sets; an empty variable counts as not set."""
    texts = {key: os.environ.get(ENV_PREFIX + key.upper()) for key in model.model_fields}
    return {key: text for key, text in texts.items() if text}


def _read_file(model: type[AgentConfig], path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Complaint(
            f"The config {path} cannot be read: {error}. `kessai agent config` prints a good one."
        ) from None
    for key, field in model.model_fields.items():
        is_path = field.annotation in (Path, Path | None)
        if is_path and isinstance(values.get(key), str):
            values[key] = path.parent / values[key]
    return values


def _complaint(
    model: type[AgentConfig], error: ErrorDetails, path: Path | None, flags: Mapping[str, Any]
) -> Complaint:
    key = str(error["loc"][0])
    if error["type"] == "extra_forbidden" and key in MOVED:
        return Complaint(f'The config {path} still has "{key}": {MOVED[key]}. Take it out there.')
    if error["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields)
        return Complaint(f'The config {path} has an unknown key "{key}". There are: {known}.')
    where = f"The config {path}"
    if key in flags:
        where = f"The flag --{key.replace('_', '-')}"
    elif os.environ.get(ENV_PREFIX + key.upper()):
        where = f"The environment variable {ENV_PREFIX}{key.upper()}"
    allowed = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return Complaint(f"{where} is wrong: {key} {allowed}, and not {error['input']!r}.")
