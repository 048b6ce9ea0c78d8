"""What the customer of `kessai phone tap` does, as its options say."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from kessai.console import Console
from kessai.secret_input import read_secret
from simulators.phone.cue import wait_for_cue
from simulators.phone.customer import (
    Approving,
    AtTheKeyboard,
    Customer,
    Declining,
    GivingUp,
    Thinking,
)
from simulators.phone.screen import Screen
from simulators.phone.screen_view import shower

WRONG_PIN = "0000"


class Answer(StrEnum):
    """What the customer does; with `agree` nobody enters a PIN."""

    APPROVE = "approve"
    AGREE = "agree"
    DECLINE = "decline"
    WRONG_PIN = "wrong-pin"
    ASK = "ask"


def person(
    answer: Answer, pin_file: Path | None, argument: str, think: float, events: bool, on_cue: bool
) -> tuple[Customer, Callable[[Screen], None]]:
    """Who holds the phone, and what shows him the pages.

    A PIN that is needed is asked for before anything is held to a reader, and then the cue is
    waited for, if there is one; Complaint if a PIN came as an `argument`.
    """
    pin, console = "", Console(stderr=events)
    if answer is Answer.APPROVE or argument:
        pin = read_secret("PIN", pin_file, "--pin-file", argument)
    if on_cue:
        wait_for_cue()
    return _customer(answer, pin, think, console), shower(console, events)


def _customer(answer: Answer, pin: str, think: float, console: Console) -> Customer:
    if answer is Answer.APPROVE:
        approving = GivingUp([pin])  # once: a script that has the wrong PIN locks no phone
        return Thinking(think, approving) if think else approving
    customers: dict[Answer, Customer] = {
        Answer.AGREE: GivingUp(()),
        Answer.DECLINE: Declining(),
        Answer.WRONG_PIN: Approving(WRONG_PIN),
        Answer.ASK: AtTheKeyboard(console),
    }
    return Thinking(think, customers[answer]) if think else customers[answer]
