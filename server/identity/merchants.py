"""Merchants, and the signed certificates that tell a phone who its payee is (design section 3)."""

from __future__ import annotations

import re
from collections.abc import Callable

from kessai.account_number import HOUSE_BRANCH, branch_of
from kessai.envelope import MERCHANT_CERTIFICATE, sign
from kessai.identity_path import is_name
from kessai.plain_text import TextError, check_text
from kessai.v1.payment_pb2 import MerchantCertificate
from server.domain.directory import Merchant
from server.identity.keyring import Keyring
from server.identity.refusals import Exists, FieldRefused, InUse, Unknown
from server.shards.directory import Directory

MAX_DISPLAY_NAME = 40

_CATEGORY = re.compile(r"[0-9]{4}")


class Merchants:
    """Enters merchants, and certifies their terminals' signing keys."""

    def __init__(self, directory: Directory, keyring: Keyring, now_us: Callable[[], int]) -> None:
        self._directory = directory
        self._keyring = keyring
        self._now_us = now_us

    def add(self, merchant: Merchant) -> None:
        """Enter a merchant; the same one again is no error.

        FieldRefused; Exists if the id stands for a merchant with other properties.
        """
        check_merchant(merchant)
        if self._directory.merchants.add(merchant) != merchant:
            raise Exists(
                f'merchant "{merchant.merchant_id}" exists with other properties; nothing was done'
            )

    def find(self, merchant_id: str) -> Merchant:
        """A merchant that was not closed, or Unknown."""
        merchant = self._directory.merchant(merchant_id)
        if merchant is None:
            raise _unknown(merchant_id)
        return merchant

    def update(self, merchant: Merchant) -> None:
        """Give a merchant other properties; FieldRefused, Unknown.

        Its terminals' certificates say it once they are renewed.
        """
        check_merchant(merchant)
        with self._directory.file.transaction():
            self.find(merchant.merchant_id)
            self._directory.merchants.replace(merchant)

    def close(self, merchant_id: str, on_sale: Callable[[str], list[str]]) -> None:
        """Close a merchant for ever; again is no error.

        `on_sale` names offers of it. Unknown; InUse while a terminal is not revoked, or something
        is on sale.
        """
        with self._directory.file.transaction():
            if self._directory.merchants.kept(merchant_id) is None:
                raise _unknown(merchant_id)
            offers = [f"offer {offer_id}" for offer_id in on_sale(merchant_id)]
            names = [*self._directory.merchants.terminals(merchant_id), *offers]
            if names:
                raise InUse(
                    f"in use: {', '.join(names)}; nothing was done: revoke terminals, and withdraw "
                    "offers, first"
                )
            self._directory.merchants.close(merchant_id, self._now_us())

    def page(self, after: str, size: int) -> tuple[list[Merchant], str]:
        """List merchants by id, and the id to go on after; "" at the end."""
        listed = self._directory.merchants.page(after, size + 1)
        more = len(listed) > size
        return listed[:size], listed[size - 1].merchant_id if more else ""

    def certify(
        self, names: tuple[str, ...], terminal_key: bytes, issue_us: int, expire_us: int
    ) -> bytes:
        """Certify a terminal's signing key under its merchant's name: a serialised Signed.

        `names` are (merchant, terminal). Unknown if there is no such merchant.
        """
        merchant_id, terminal_id = names
        merchant = self.find(merchant_id)
        certificate = MerchantCertificate(
            merchant_id=merchant_id,
            terminal_id=terminal_id,
            display_name=merchant.display_name,
            category_code=merchant.category_code,
            terminal_public_key=terminal_key,
        )
        if merchant.unverified_limit is not None:
            certificate.unverified_limit.CopyFrom(merchant.unverified_limit.to_proto())
        certificate.issue_time.FromMicroseconds(issue_us)
        certificate.expire_time.FromMicroseconds(expire_us)
        signed = sign(MERCHANT_CERTIFICATE, certificate, self._keyring.signing_key)
        return signed.SerializeToString(deterministic=True)


def check_merchant(merchant: Merchant) -> None:
    """FieldRefused unless a merchant's properties can be."""
    if not is_name(merchant.merchant_id):
        raise FieldRefused("merchant_id", 'not 1 to 40 of a-z, 0-9 and "-"')
    try:
        check_text(merchant.display_name, MAX_DISPLAY_NAME)
    except TextError as error:
        raise FieldRefused("display_name", str(error)) from None
    if _CATEGORY.fullmatch(merchant.category_code) is None:
        raise FieldRefused("category_code", "not four digits (ISO 18245)")
    if branch_of(merchant.account) == HOUSE_BRANCH:
        raise FieldRefused("account_number", "an account of the house cannot be a merchant's")


def _unknown(merchant_id: str) -> Unknown:
    return Unknown(f'there is no merchant "{merchant_id}"')
