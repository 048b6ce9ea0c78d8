"""What the operator set of this terminal from afar: the newest copy, in the agent's folder.

Kept by `fleet_line`, read by `offline_decision`. A setting that this version does not know, or that
is out of its limits, is left out, so that an older agent lives on beside a newer switch.
"""

from __future__ import annotations

import json
from pathlib import Path

from kessai.device_settings import SettingError, check_setting
from kessai.durable_file import write_durably
from kessai.json_file import read_json
from kessai.v1.fleet_pb2 import DeviceConfig

FILE_NAME = "settings.json"


class RemoteSettings:
    """Settings by name; see `kessai.device_settings` for what they mean."""

    def __init__(self, folder: Path) -> None:
        """Read what is there; what cannot be read counts as nothing, and is fetched again."""
        self._path = folder / FILE_NAME
        self.version, self.values = 0, dict[str, int]()
        try:
            content = read_json(self._path)
            self.values = _known(content["values"])
            self.version = int(content["version"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.values = {}

    def take(self, config: DeviceConfig) -> None:
        """Take a configuration, durably."""
        values = {setting.key: setting.value for setting in config.settings}
        content = {"version": config.version, "values": values}
        write_durably(self._path, json.dumps(content, indent=2).encode())
        self.version, self.values = config.version, _known(values)


def _known(values: dict[str, int]) -> dict[str, int]:
    known = {}
    for key, value in values.items():
        try:
            check_setting(key, value)
        except SettingError:
            continue
        known[key] = value
    return known
