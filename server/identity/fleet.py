"""The fleet: which devices there are, how they are, how they are configured, how one is revoked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from kessai.device_settings import SettingError, check_setting
from kessai.identity_path import AGENT, RELAY, IdentityError, parse_device
from kessai.money import Money, MoneyError
from kessai.plain_text import plain
from kessai.v1.fleet_pb2 import (
    ROLLBACK_KIND_DENY_LIST,
    ROLLBACK_KIND_JOURNAL,
    DeviceConfig,
    DeviceReport,
    DeviceSetting,
    DeviceState,
)
from server.domain.directory import Device
from server.identity.callers import Caller
from server.identity.refusals import FieldRefused, Unknown
from server.identity.rollback_alarms import RollbackAlarms
from server.shards.deny_book import DenyBook
from server.shards.directory import Directory
from server.shards.fleet_book import FleetBook
from server.shards.operator_book import OperatorBook
from server.shards.relay_book import RelayBook

MAX_SOFTWARE_VERSION, MAX_STATE = 80, 120


class Fleet:
    """Lists, hears, configures and revokes devices. Methods may run in any thread."""

    def __init__(
        self,
        directory: Directory,
        book: FleetBook,
        now_us: Callable[[], int],
        alarms: RollbackAlarms | None = None,
    ) -> None:
        self._directory, self._book, self._now_us = directory, book, now_us
        self._denied = DenyBook(directory.file)
        self._alarms = alarms or RollbackAlarms(now_us)
        self._operators, self._relays = OperatorBook(directory.file), RelayBook(directory.file)
        self._attached: Counter[str] = Counter()
        self._listeners: set[Callable[[], None]] = set()

    def revoke(self, device: str, by: str = "", even_the_last: bool = False) -> None:
        """Revoke a device in one commit: certificates, keys, credentials and unused pairing codes.

        Again is no error. Whatever was being issued to it is either revoked with it or not issued.

        FieldRefused if it is no path of a device, or the operator who asks (`by`) or the last one
        who can call, unless that is wanted; Unknown if there is none such.
        """
        _check_path(device)
        with self._directory.file.transaction():  # the time is that of its turn
            if not even_the_last:
                self._require_another(device, by)
            known = self._directory.revoke(device, self._now_us())
        if not known:
            raise _unknown(device)

    def page(self, after: str, size: int) -> tuple[list[Device], str]:
        """List devices by path, and the path to go on after; "" at the end."""
        devices = self._directory.devices(after, size + 1)
        more = len(devices) > size
        return devices[:size], devices[size - 1].device if more else ""

    @contextmanager
    def attached(self, device: str) -> Iterator[None]:
        """Count a device as in touch meanwhile."""
        self._attached[device] += 1
        try:
            yield
        finally:
            self._attached[device] -= 1

    def hear(self, caller: Caller, report: DeviceReport) -> None:
        """Keep what a device says of itself; FieldRefused if it makes no sense; CertificateRevoked.

        Its words are kept as plain text: a terminal must get through, whatever it calls itself. A
        newer deny list than the switch's own raises the alarm, and a journal with fewer payments
        than it had: then it was restored from an old copy.
        """
        _check_report(report)
        report.software_version = plain(report.software_version)
        report.state = plain(report.state)
        is_told, told = report.HasField("journal_payments"), report.journal_payments
        with self._directory.while_good(caller.serial):
            if most := max(told, self._journal_before(caller.device)):
                report.journal_payments = most
            self._book.keep_report(caller.device, self._now_us(), report.SerializeToString())
        has = max(report.deny_list_version, report.newest_deny_list_version)
        if has > self._denied.version():
            self._alarms.sound(caller.device, ROLLBACK_KIND_DENY_LIST, has)
        else:
            self._alarms.end(caller.device, ROLLBACK_KIND_DENY_LIST)
        if is_told and told < report.journal_payments:
            self._alarms.sound(caller.device, ROLLBACK_KIND_JOURNAL, report.journal_payments)
        else:
            self._alarms.end(caller.device, ROLLBACK_KIND_JOURNAL)

    def config_for(self, caller: Caller) -> DeviceConfig:
        """The configuration of the terminal that calls; CertificateRevoked."""
        with self._directory.while_good(caller.serial):
            return self.config(caller.device)

    def state(self, device: str) -> DeviceState:
        """Tell how a device is; of one that never said anything, what is entered of it."""
        state = DeviceState(attached=self._attached[device] > 0, config=self.config(device))
        heard = self._book.report(device)
        if heard is not None:
            state.last_seen_time.FromMicroseconds(heard[0])
            state.report.ParseFromString(heard[1])
        state.alarms.extend(self._alarms.of(device))
        kind, names = parse_device(device)
        if kind == RELAY:
            state.served_merchants.extend(self._relays.merchants(names[0]))
        return state

    def known_state(self, device: str) -> DeviceState:
        """Tell how a device of the fleet is; FieldRefused, Unknown."""
        self._require(device)
        return self.state(device)

    def config(self, device: str) -> DeviceConfig:
        """Tell how a device is configured from afar."""
        version, settings = self._book.settings(device)
        listed = [DeviceSetting(key=key, value=value) for key, value in settings.items()]
        return DeviceConfig(version=version, settings=listed)

    def configure(self, device: str, settings: Mapping[str, int]) -> DeviceConfig:
        """Change settings of a terminal, and have it told; what stands now comes back.

        FieldRefused for a setting or a value that there is not, Unknown.
        """
        self._require(device)
        if parse_device(device)[0] != AGENT:
            raise FieldRefused("device", "only terminals have settings")
        for key, value in settings.items():
            try:
                check_setting(key, value)
            except SettingError as error:
                raise FieldRefused("settings", str(error)) from None
        self._book.put_settings(device, settings)
        for listener in tuple(self._listeners):
            listener()
        return self.config(device)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a listener called, from any thread, after a configuration changed; gives its end."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _journal_before(self, device: str) -> int:
        """How many payments a device's journal had, since it was paired last."""
        heard, entered = self._book.report(device), self._directory.device(device)
        if heard is None or entered is None or heard[0] <= entered.enroll_us:
            return 0
        return DeviceReport.FromString(heard[1]).journal_payments

    def _require_another(self, device: str, by: str) -> None:
        if device == by:
            raise FieldRefused("even_the_last", "this is yourself: say --even-the-last if meant")
        if self._operators.good(self._now_us()) == [device]:
            raise FieldRefused(
                "even_the_last",
                "this is the last operator who can call: add another one first with kessai operator"
                " add, or say --even-the-last if meant",
            )

    def _require(self, device: str) -> None:
        _check_path(device)
        if self._directory.device(device) is None:
            raise _unknown(device)


def _check_path(device: str) -> None:
    try:
        parse_device(device)
    except IdentityError as error:
        raise FieldRefused("device", str(error)) from None


def _check_report(report: DeviceReport) -> None:
    if len(report.software_version) > MAX_SOFTWARE_VERSION:
        raise FieldRefused("report.software_version", f"over {MAX_SOFTWARE_VERSION} characters")
    if report.journal_payments < 0:
        raise FieldRefused("report.journal_payments", "must not be negative")
    if len(report.state) > MAX_STATE:
        raise FieldRefused("report.state", f"over {MAX_STATE} characters")
    for name in ("waiting", "lost", "unpaid"):
        if getattr(report, f"{name}_payments") < 0:
            raise FieldRefused(f"report.{name}_payments", "must not be negative")
        if report.HasField(f"{name}_total"):  # type: ignore[arg-type]
            try:
                Money.from_proto(getattr(report, f"{name}_total"))
            except MoneyError as error:
                raise FieldRefused(f"report.{name}_total", str(error)) from None


def _unknown(device: str) -> Unknown:
    return Unknown(f'there is no device "{device}"')
