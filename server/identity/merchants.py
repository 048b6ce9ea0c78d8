"""Merchants, and the signed certificates that tell a phone who its payee is (design section 3)."""

from __future__ import annotations

import re

from kessai.account_number import HOUSE_BRANCH, branch_of
from kessai.envelope import MERCHANT_CERTIFICATE, sign
from kessai.identity_path import is_name
from kessai.plain_text import TextError, check_text
from kessai.v1.payment_pb2 import MerchantCertificate
from server.domain.directory import Merchant
from server.identity.keyring import Keyring
from server.identity.refusals import Exists, FieldRefused, Unknown
from server.shards.directory import Directory

MAX_DISPLAY_NAME = 40

_CATEGORY = re.compile(r"[0-9]{4}")


class Merchants:
    """Enters merchants, and certifies their terminals' signing keys."""

    def __init__(self, directory: Directory, keyring: Keyring) -> None:
        self._directory = directory
        self._keyring = keyring

    def add(self, merchant: Merchant) -> None:
        """Enter a merchant; the same one again is no error.

        FieldRefused; Exists if the id stands for a merchant with other properties.
        """
        _check(merchant)
        if self._directory.add_merchant(merchant) != merchant:
            raise Exists(
                f'merchant "{merchant.merchant_id}" exists with other properties; nothing was done'
            )

    def certify(
        self, names: tuple[str, ...], terminal_key: bytes, issue_us: int, expire_us: int
    ) -> bytes:
        """Certify a terminal's signing key under its merchant's name: a serialised Signed.

        `names` are (merchant, terminal). Unknown if there is no such merchant.
        """
        merchant_id, terminal_id = names
        merchant = self._directory.merchant(merchant_id)
        if merchant is None:
            raise Unknown(f'there is no merchant "{merchant_id}"')
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


def _check(merchant: Merchant) -> None:
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
