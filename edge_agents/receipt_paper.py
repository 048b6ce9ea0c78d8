"""The printed receipt, 42 columns: shop, items, total, outcome, and the proof in a QR code.

Laid out from the journal's own request and the verified receipt, so that paper never says more than
what is signed. Printed by the receipt desk.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from edge_agents.devices.printer import COLUMNS, Element, QrCode, Text
from edge_agents.payment_request import PendingPayment
from edge_agents.receipts import is_settled
from kessai.decline import meaning_of
from kessai.money import format_minor
from kessai.v1.payment_pb2 import LineItem, Receipt

_RULE = "-" * COLUMNS
_LARGE_COLUMNS = COLUMNS // 2


def lay_out_receipt(
    shop: str,
    pending: PendingPayment,
    receipt: Receipt,
    qr_text: str,
    copy: bool = False,
    zone: tzinfo | None = None,
) -> list[Element]:
    """Lay a receipt out; times are shown in `zone`, by default the machine's own."""
    currency = pending.request.total.currency_code
    paper: list[Element] = [
        Text(line, bold=True, large=True, centred=True)
        for line in textwrap.wrap(shop, _LARGE_COLUMNS)
    ]
    if copy:
        paper.append(Text("* COPY *", centred=True))
    paper += [Text(""), Text(_RULE)]
    for item in pending.request.items:
        paper += _item_lines(item, currency)
    paper += [
        Text(_RULE),
        Text(_apart("TOTAL", str(pending.total), _LARGE_COLUMNS), bold=True, large=True),
        Text(""),
        *_outcome_lines(receipt),
        Text(""),
        *_facts(pending, receipt, zone),
        Text(""),
        QrCode(qr_text),
        Text("Signed by the switch", centred=True),
    ]
    return paper


def _item_lines(item: LineItem, currency: str) -> Iterator[Text]:
    amount = format_minor(item.quantity * item.unit_price_minor, currency)
    *above, last = textwrap.wrap(item.description, COLUMNS - len(amount) - 2)
    yield from (Text(line) for line in above)
    yield Text(_apart(last, amount))
    if item.quantity != 1:
        yield Text(f"  {item.quantity} x {format_minor(item.unit_price_minor, currency)}")


def _outcome_lines(receipt: Receipt) -> Iterator[Text]:
    if is_settled(receipt):
        yield Text("PAID", bold=True, large=True, centred=True)
        return
    yield Text("NOT PAID", bold=True, large=True, centred=True)
    for line in textwrap.wrap(meaning_of(receipt.decline_reason).customer, COLUMNS):
        yield Text(line, centred=True)


def _facts(pending: PendingPayment, receipt: Receipt, zone: tzinfo | None) -> Iterator[Text]:
    settled = receipt.settle_time.ToDatetime(tzinfo=UTC).astimezone(zone)
    yield Text(_apart("Time", _clock(settled)))
    yield Text(_apart("Register", pending.request.terminal_id))
    yield Text(_apart("Order", pending.request.order_id))
    yield Text(_apart("ID", pending.payment_id))
    if receipt.HasField("log_position"):
        at = receipt.log_position
        place = f"shard {at.shard}, row {at.sequence}, {at.chain_hash.hex()[:12]}"
        yield Text(_apart("Log", place))


def _clock(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")


def _apart(left: str, right: str, columns: int = COLUMNS) -> str:
    """Put two texts at both ends of a line; the right one is never cut."""
    room = columns - len(right) - 1
    return f"{left[: max(room, 0)]:<{max(room, 0)}} {right}" if room > 0 else right
