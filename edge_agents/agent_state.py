"""How an agent is, as it truthfully says: kept by its parts, told to the switch by `fleet_line`.

An agent says what it does or lacks with `say`; the rest is asked when a report is due, so that it
cannot be out of date.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Callable

from edge_agents.accepted import LOST_FOR_US
from edge_agents.deny_list import DenyList
from edge_agents.journal import Journal
from edge_agents.links.message_link import Radio
from edge_agents.remote_settings import RemoteSettings
from kessai.money import Money
from kessai.v1.fleet_pb2 import READER_STATE_LOST, READER_STATE_READY, DeviceReport

MAX_STATE = 120

_STARTING = "starting"


class AgentState:
    """What the fleet's operator sees of this agent."""

    def __init__(
        self,
        radio: Radio,
        journal: Journal,
        deny_list: DenyList,
        settings: RemoteSettings,
        now_us: Callable[[], int],
    ) -> None:
        self._radio, self._journal = radio, journal
        self._deny_list, self._settings, self._now_us = deny_list, settings, now_us
        self._words = _STARTING
        self.changed = asyncio.Event()

    def begin(self) -> None:
        """Say that the agent serves, unless it said already what it does."""
        if self._words == _STARTING:
            self.say("in service")

    def say(self, words: str) -> None:
        """Say what the agent does or lacks; at most 120 characters of it are told."""
        if words != self._words:
            self._words = words
            self.changed.set()

    def _said(self) -> str:
        alarm = self._journal.marks.alarm
        return (f"ALARM: {alarm}; {self._words}" if alarm else self._words)[:MAX_STATE]

    def report(self) -> DeviceReport:
        """Write a report of this moment."""
        count, totals = self._journal.unanswered()
        report = DeviceReport(
            software_version=f"kessai {importlib.metadata.version('kessai')}",
            deny_list_version=self._deny_list.version,
            config_version=self._settings.version,
            waiting_payments=count,
            reader_state=READER_STATE_READY if self._radio.is_ready else READER_STATE_LOST,
            state=self._said(),
            newest_deny_list_version=self._journal.marks.deny_list_version,
            journal_payments=self._journal.next_order_number() - 1,
        )
        for currency, minor in totals.items():
            report.waiting_total.CopyFrom(Money(minor, currency).to_proto())
        lost, totals = self._journal.accepted.all_lost(self._now_us() - LOST_FOR_US)
        report.lost_payments = lost
        for currency, minor in totals.items():
            report.lost_total.CopyFrom(Money(minor, currency).to_proto())
        unpaid, totals = self._journal.unpaid_since(self._now_us() - LOST_FOR_US)
        report.unpaid_payments = unpaid
        for currency, minor in totals.items():
            report.unpaid_total.CopyFrom(Money(minor, currency).to_proto())
        report.report_time.FromMicroseconds(self._now_us())
        return report
