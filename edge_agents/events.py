"""What an agent tells: a log for people or machines on stderr, and events for a follower on stdout.

The log is human text on a terminal and JSON lines otherwise. With `--events` each step is also one
JSON object on stdout: {"event": NAME, "time": microseconds since 1970, ...}. The names:

    started stopped                          the agent's life
    item_scanned item_removed goods_unknown goods_refused code_unreadable key_refused basket_full
    waiting_for_tap code_shown phone_seen customer_deciding phone_left phone_refused
    cancelled expired customer_declined      no money can move any more
    sale_cleared                             %CANCEL: the next scan begins a new sale
    authorized settling settled declined unknown not_taken
    set_aside                                the switch fails over this one: asked about hourly
    submitting                               the phone says that it submits by its own line
    accepted not_accepted                    without the switch, or why not
    lost_after_acceptance                    accepted, and then the switch refused: a loss
    in_touch out_of_touch configured deny_list_grew      the line to the fleet's operator
    deny_list_anew                                       its clock was ahead: all is sent again
    refused_by_switch                        this terminal was revoked: decides nothing alone
    switch_restored                          what its operator accepted as lost: told once
    switch_went_back switch_whole_again      its log or deny list is older than what was seen
    receipt_delivered receipt_not_taken      to the phone
    receipt_printed receipt_waits            on paper
    ticket_chosen ticket_removed offer_unknown count_refused choice_gone no_offers
    offers_changed offers_stale offers_taken tickets_wait      a ticket machine
    door_ready door_not_ready door_fault door_fault_over  a door; `why` names the fault
    door_held_open door_shut door_not_opened
    no_ticket turned_away admitted passed given_back entry_uncertain      at an entrance
    hub_away hub_not_told decided_alone entry_counted_twice               its hub
    entries_uploaded entries_wait entry_waits entry_refused               told to the switch
    not_confirmed                            an error was answered: door or gate stays shut
    admitted left passed nobody_passed       a gate; `reason` where it refuses
    trusted refused tailgating forced        let in without the switch; or not
    feed_refused feed_not_kept unpriced      goes on with the feed kept; let out without a fare
    journey_refused                          no transfer from the journey that the phone showed
    barrier_failed counter_restarted         its board forgot who passed
    vend_requested vend_refused held approved delivered failed voided not_captured given_out_unpaid
                                             a vending machine: see edge_agents/vending
    serves passed                            a fleet's server: whom it serves, what it passed
    device_lost device_back certificate_renewed certificate_not_renewed

An event of a payment carries `payment_id`, `order_id`, `amount_minor` and `currency`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from edge_agents.payment_request import PendingPayment
from kessai.plain_text import plain

_WARNINGS = {
    "lost_after_acceptance",
    "set_aside",
    "refused_by_switch",
    "switch_went_back",
    "switch_restored",
    "out_of_touch",
    "unknown",
    "device_lost",
    "receipt_waits",
    "not_taken",
    "certificate_not_renewed",
    "tailgating",
    "forced",
    "barrier_failed",
    "feed_refused",
    "feed_not_kept",
    "unpriced",
    "counter_restarted",
    "door_fault",
    "not_captured",
    "given_out_unpaid",
    "offers_stale",
    "tickets_wait",
}


_LOGGER = "kessai.agent"
_FIELDS = "fields"
_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_COLOURS = {"info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}

# Who set no log up, such as a bench, sees none.
logging.getLogger(_LOGGER).addHandler(logging.NullHandler())


class Events:
    """Tells each step once, to the log and to the follower if there is one."""

    def __init__(self, now_us: Callable[[], int], follower: TextIO | None = None) -> None:
        self._now_us, self._follower = now_us, follower
        self._log = logging.getLogger(_LOGGER)
        # Both would come to the same terminal: then a step is told once, as the follower has it.
        self._is_doubled = follower is not None and follower.isatty() and sys.stderr.isatty()

    def emit(self, event: str, pending: PendingPayment | None = None, **fields: str | int) -> None:
        """Tell a step; `pending` is the payment that it belongs to."""
        if pending is not None:
            fields = _payment_fields(pending) | fields
        level = logging.WARNING if event in _WARNINGS else logging.INFO
        if not self._is_doubled:
            self._log.log(level, event, extra={_FIELDS: fields})
        self._tell_follower({"event": event, "time": self._now_us(), **fields})

    def _tell_follower(self, line: dict[str, str | int]) -> None:
        """Write to the follower; one that went away must not stop a till."""
        if self._follower is None:
            return
        try:
            self._follower.write(json.dumps(line) + "\n")
            self._follower.flush()
        except OSError as error:
            # What is still buffered goes nowhere, so that closing the stream does not fail again.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._follower.fileno())
            os.close(nowhere)
            self._follower, self._is_doubled = None, False
            self._log.warning("follower_lost", extra={_FIELDS: {"why": str(error)}})


class _JsonLines(logging.Formatter):
    """For machines: one JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the event, its fields, its level and when it was (ISO 8601, UTC)."""
        line = {"event": record.getMessage(), **_fields_of(record)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        line["level"] = record.levelname.lower()
        line["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat()
        return json.dumps(line, default=str)


class _ForPeople(logging.Formatter):
    """For people at a terminal: the time, the event and its fields, in colours."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line, and the traceback below it if there is one."""
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        level = record.levelname.lower()
        said = _fields_of(record).items()
        fields = " ".join(f"{name}={plain(str(value))}" for name, value in said)
        line = f"{_DIM}{clock}{_PLAIN} {_COLOURS.get(level, '')}{level:<7}{_PLAIN} "
        line += f"{_BOLD}{plain(record.getMessage()):<24}{_PLAIN} {fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_log() -> None:
    """Send the log to stderr: coloured text on a terminal, JSON lines otherwise.

    Of libraries only warnings and worse. The standard library's logging, because what else there is
    costs a small machine memory that it needs for nothing.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_ForPeople() if sys.stderr.isatty() else _JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger(_LOGGER).setLevel(logging.INFO)


def _fields_of(record: logging.LogRecord) -> dict[str, str | int]:
    fields: dict[str, str | int] = getattr(record, _FIELDS, {})
    return fields


def _payment_fields(pending: PendingPayment) -> dict[str, str | int]:
    return {
        "payment_id": pending.payment_id,
        "order_id": pending.request.order_id,
        "amount_minor": pending.request.total.amount_minor,
        "currency": pending.request.total.currency_code,
    }
