"""The offers of tickets: entered by operators, listed for ticket machines (row B10).

Called by `server/rpc/ticket_servicer.py`, in threads. An offer never changes, so that what a
machine shows, a customer agrees to and a ticket says is one thing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from kessai.identity_path import is_name
from kessai.plain_text import TextError, check_text
from kessai.ticket import MAX_PERSONS
from kessai.v1.ticket_pb2 import TICKET_KIND_GIFT_CERTIFICATE, TicketKind, TicketOffer
from server.identity.refusals import Exists, FieldRefused, NotPermitted, Unknown
from server.shards.directory import Directory
from server.shards.ticket_offers import Kept, TicketOffers

MAX_EVENT_NAME, MAX_TITLE = 60, 40


class OfferDesk:
    """Enters and lists offers."""

    def __init__(
        self, directory: Directory, offers: TicketOffers, now_us: Callable[[], int]
    ) -> None:
        self._directory, self._offers, self._now_us = directory, offers, now_us

    def add(self, offer: TicketOffer) -> None:
        """Enter an offer; the same one again is no error.

        FieldRefused; Unknown if there is no such merchant; Exists if the id stands for other terms.
        """
        _check(offer)
        if self._directory.merchant(offer.merchant_id) is None:
            raise Unknown(f'there is no merchant "{offer.merchant_id}"')
        if self._offers.add(offer) != offer:
            raise Exists(
                f'"{offer.offer_id}" is on offer with other terms, or was withdrawn; nothing was '
                "done. Enter the new terms under another id"
            )

    def withdraw(self, merchant_id: str, offer_id: str) -> None:
        """Take an offer off the market; again is no error. Unknown."""
        if not self._offers.withdraw(merchant_id, offer_id, self._now_us()):
            raise Unknown(f'merchant "{merchant_id}" has no offer "{offer_id}"')

    def page(
        self, merchant_id: str, caller_merchant: str, after: str, size: int, with_over: bool
    ) -> tuple[list[Kept], str]:
        """List what of a merchant's offers is on sale, or all, and the id to go on after.

        NotPermitted for another merchant's terminal ("": anybody), or a terminal that asks for all.
        """
        if caller_merchant not in ("", merchant_id):
            raise NotPermitted("a terminal may list its own merchant's offers only")
        if caller_merchant and with_over:
            raise NotPermitted("a terminal may list only what is on sale")
        now_us = self._now_us()
        wanted = (
            kept
            for kept in self._offers.all_of(merchant_id, after)
            if with_over or kept.is_on_sale(now_us)
        )
        listed = list(islice(wanted, size + 1))
        more = len(listed) > size
        return listed[:size], listed[size - 1].offer.offer_id if more else ""


def _check(offer: TicketOffer) -> None:
    for field in ("offer_id", "merchant_id", "event_id"):
        if not is_name(getattr(offer, field)):
            raise FieldRefused(f"offer.{field}", 'not 1 to 40 of a-z, 0-9 and "-"')
    for field, limit in (("event_name", MAX_EVENT_NAME), ("title", MAX_TITLE)):
        try:
            check_text(getattr(offer, field), limit)
        except TextError as error:
            raise FieldRefused(f"offer.{field}", str(error)) from None
    if offer.kind not in TicketKind.values() or not offer.kind:
        raise FieldRefused("offer.kind", "say what the ticket is for")
    if offer.valid_until_time.ToMicroseconds() <= offer.valid_from_time.ToMicroseconds():
        raise FieldRefused("offer.valid_until_time", "must be after valid_from_time")
    _check_worth(offer)


def _check_worth(offer: TicketOffer) -> None:
    if offer.kind != TICKET_KIND_GIFT_CERTIFICATE:
        if not 1 <= offer.admits <= MAX_PERSONS:
            raise FieldRefused("offer.admits", f"1 to {MAX_PERSONS} persons")
        if offer.HasField("value"):
            raise FieldRefused("offer.value", "only a gift certificate has a value")
        return
    if offer.admits:
        raise FieldRefused("offer.admits", "a gift certificate lets nobody in")
    if offer.value.currency_code != offer.price.currency_code:
        raise FieldRefused("offer.value", "a gift certificate has a value, in its price's currency")
