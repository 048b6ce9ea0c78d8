"""How a command ends: what was done and under which request id, or why it was declined."""

from __future__ import annotations

from kessai.complaint import Complaint
from kessai.console import Console, styled
from kessai.decline import name_of, told_operator
from kessai.v1.decline_pb2 import DeclineReason

_out = Console(soft_wrap=True)


def show_request(request_id: str) -> None:
    """Show under which id something was done: it is asked again by it, and `audit` lists it."""
    _out.print(styled("[dim]request {}[/]", request_id))


def say_already(what: str, standing: str) -> None:
    """Say that something stood before as it was asked to."""
    _out.print(styled("[yellow]{} is {} already; nothing was done[/]", what, standing))


def require_accepted(reason: DeclineReason.ValueType) -> None:
    """Complaint if a command was declined."""
    if reason:
        raise Complaint(f"{name_of(reason)}: {told_operator(reason)} No money was moved.")
