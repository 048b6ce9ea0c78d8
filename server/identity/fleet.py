"""The fleet: which devices there are, and how one is revoked."""

from __future__ import annotations

from collections.abc import Callable

from kessai.identity_path import IdentityError, parse_device
from server.domain.directory import Device
from server.identity.holders import Holders
from server.identity.refusals import FieldRefused, Unknown
from server.shards.directory import Directory


class Fleet:
    """Lists and revokes devices."""

    def __init__(self, directory: Directory, holders: Holders, now_us: Callable[[], int]) -> None:
        self._directory, self._holders = directory, holders
        self._now_us = now_us

    def revoke(self, device: str) -> None:
        """Revoke a device's certificates, keys and unused pairing codes; again is no error.

        FieldRefused if it is no path of a device, Unknown if there is none such.
        """
        try:
            parse_device(device)
        except IdentityError as error:
            raise FieldRefused("device", str(error)) from None
        # First what others trust without asking: after a crash in between, revoking again ends it.
        self._holders.take_back(device)
        if not self._directory.revoke(device, self._now_us()):
            raise Unknown(f'there is no device "{device}"')

    def page(self, after: str, size: int) -> tuple[list[Device], str]:
        """List devices by path, and the path to go on after; "" at the end."""
        devices = self._directory.devices(after, size + 1)
        more = len(devices) > size
        return devices[:size], devices[size - 1].device if more else ""
