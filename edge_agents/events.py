"""What an agent tells: a log for people or machines on stderr, and events for a follower on stdout.

The log is human text on a terminal and JSON lines otherwise. With `--events` each step is also one
JSON object on stdout: {"event": NAME, "time": microseconds since 1970, ...}. The names:

    started stopped                          the agent's life
    item_scanned item_removed goods_unknown code_unreadable key_refused basket_full
    waiting_for_tap code_shown phone_seen customer_deciding phone_left phone_refused
    cancelled expired customer_declined      no money can move any more
    sale_cleared                             %CANCEL: the next scan begins a new sale
    authorized settling settled declined unknown not_taken
    submitting                               the phone says that it submits by its own line
    accepted not_accepted                    without the switch, or why not
    lost_after_acceptance                    accepted, and then the switch refused: a loss
    in_touch out_of_touch configured deny_list_grew      the line to the fleet's operator
    receipt_delivered receipt_not_taken      to the phone
    receipt_printed receipt_waits            on paper
    door_ready door_held_open door_shut door_not_opened
    no_ticket turned_away admitted passed given_back entry_uncertain      at an entrance
    hub_away hub_not_told decided_alone entry_counted_twice               its hub
    entries_uploaded entries_wait entry_refused                           told to the switch
    admitted left passed nobody_passed       a gate; `reason` where it refuses
    trusted refused tailgating forced        let in without the switch; or not
    barrier_failed
    vend_requested vend_refused held approved delivered failed voided not_captured
                                             a vending machine: see edge_agents/vending
    device_lost device_back certificate_renewed certificate_not_renewed

An event of a payment carries `payment_id`, `order_id`, `amount_minor` and `currency`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import TextIO

import structlog

from edge_agents.payment_request import PendingPayment

_WARNINGS = {
    "lost_after_acceptance",
    "out_of_touch",
    "unknown",
    "device_lost",
    "receipt_waits",
    "not_taken",
    "certificate_not_renewed",
    "tailgating",
    "forced",
    "barrier_failed",
    "not_captured",
}


class Events:
    """Tells each step once, to the log and to the follower if there is one."""

    def __init__(self, now_us: Callable[[], int], follower: TextIO | None = None) -> None:
        self._now_us, self._follower = now_us, follower
        self._log = structlog.get_logger("kessai.agent")

    def emit(self, event: str, pending: PendingPayment | None = None, **fields: str | int) -> None:
        """Tell a step; `pending` is the payment that it belongs to."""
        if pending is not None:
            fields = _payment_fields(pending) | fields
        level = logging.WARNING if event in _WARNINGS else logging.INFO
        self._log.log(level, event, **fields)
        self._tell_follower({"event": event, "time": self._now_us(), **fields})

    def _tell_follower(self, line: dict[str, str | int]) -> None:
        """Write to the follower; one that went away must not stop a till."""
        if self._follower is None:
            return
        try:
            self._follower.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._follower.flush()
        except OSError as error:
            # What is still buffered goes nowhere, so that closing the stream does not fail again.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._follower.fileno())
            os.close(nowhere)
            self._follower = None
            self._log.warning("follower_lost", why=str(error))


def set_up_log() -> None:
    """Send the log to stderr: coloured text on a terminal, JSON lines otherwise."""
    human = sys.stderr.isatty()
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if human
        else structlog.processors.JSONRenderer()
    )
    clock = "%H:%M:%S" if human else "iso"
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt=clock, utc=not human),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _payment_fields(pending: PendingPayment) -> dict[str, str | int]:
    return {
        "payment_id": pending.payment_id,
        "order_id": pending.request.order_id,
        "amount_minor": pending.request.total.amount_minor,
        "currency": pending.request.total.currency_code,
    }
