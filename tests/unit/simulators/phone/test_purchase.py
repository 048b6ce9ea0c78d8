"""What the phone refuses before the customer sees it (row B1): each line of the ladder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import LineItem, MerchantCertificate, PaymentRequest
from simulators.phone.screen import View
from tests.unit.simulators.phone.conftest import PocketMaker
from tests.unit.simulators.phone.counter import NOW_US, SECOND_US, Counter, status_of

STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def refusal_of(
    counter: Counter, make_pocket: PocketMaker
) -> Callable[[Signed, Signed | None], str]:
    """Give a function that presents a request and names the reason on the phone's screen."""
    pocket = make_pocket()

    def present(request: Signed, certificate: Signed | None = None) -> str:
        answer = pocket.wallet.answer(counter.present(request, certificate))
        if status_of(answer) == "AUTHORIZED":
            return "none"
        assert status_of(answer) == "REQUEST_REFUSED"
        assert pocket.store.history() == []
        assert {page.view for page in pocket.pages} == {View.REFUSED}
        assert pocket.pages[-1].message
        return pocket.pages[-1].reason

    return present


Refusal = Callable[..., str]


def test_the_unchanged_request_is_not_refused(counter: Counter, refusal_of: Refusal) -> None:
    """Or the tests below would prove nothing."""
    assert refusal_of(counter.request()) == "none"


def test_every_altered_byte_is_refused(counter: Counter, refusal_of: Refusal) -> None:
    """Of the request and of the certificate: payload, signature and key id."""
    for which in ("request", "certificate"):
        good = counter.request() if which == "request" else counter.certificate()
        for part in ("payload", "signature", "key_id"):
            for place in range(0, len(getattr(good, part)), 7):
                bad = Signed.FromString(good.SerializeToString())
                content = bytearray(getattr(good, part))
                content[place] ^= 1
                setattr(bad, part, bytes(content))
                pair = (bad, None) if which == "request" else (counter.request(), bad)
                assert refusal_of(*pair) == "REQUEST_SIGNATURE_INVALID", (which, part, place)


def test_a_certificate_that_the_switch_did_not_sign(counter: Counter, refusal_of: Refusal) -> None:
    """Nor does the terminal's own key make a name."""
    for key in (STRANGER, counter.terminal_key):
        certificate = counter.certificate(key=key)
        assert refusal_of(counter.request(), certificate) == "REQUEST_SIGNATURE_INVALID"


def test_a_request_that_another_terminal_signed(counter: Counter, refusal_of: Refusal) -> None:
    """The key must be the one in the certificate."""
    assert refusal_of(counter.request(key=STRANGER)) == "REQUEST_SIGNATURE_INVALID"
    assert refusal_of(counter.request(key=counter.switch_key)) == "REQUEST_SIGNATURE_INVALID"


def test_documents_are_not_taken_for_each_other(counter: Counter, refusal_of: Refusal) -> None:
    """A receipt is no certificate, though the same key signed it."""
    receipt = counter.receipt(counter.request())
    assert refusal_of(counter.request(), receipt) == "REQUEST_SIGNATURE_INVALID"


@pytest.mark.parametrize("field", ["merchant_id", "terminal_id"])
def test_another_shop_or_terminal(field: str, counter: Counter, refusal_of: Refusal) -> None:
    """Well signed, but the certificate names another."""
    request = counter.request(lambda document: setattr(document, field, "other"))
    assert refusal_of(request) == "REQUEST_NOT_FROM_CALLER"


def _with_items(*items: LineItem, total: int) -> Callable[[PaymentRequest], None]:
    def change(request: PaymentRequest) -> None:
        del request.items[:]
        request.items.extend(items)
        request.total.amount_minor = total

    return change


def _item(
    description: str = "Roll", quantity: int = 1, unit_price_minor: int = 100, gtin: str = ""
) -> LineItem:
    return LineItem(
        gtin=gtin, description=description, quantity=quantity, unit_price_minor=unit_price_minor
    )


_MALFORMED: dict[str, Callable[[PaymentRequest], None]] = {
    "total above the items": lambda request: setattr(request.total, "amount_minor", 501),
    "total below the items": lambda request: setattr(request.total, "amount_minor", 499),
    "no items": _with_items(total=100),
    "no quantity": _with_items(_item(), _item(quantity=0), total=100),
    "negative quantity": _with_items(_item(quantity=-1, unit_price_minor=-100), total=100),
    "too large a quantity": _with_items(_item(quantity=10_000), total=1_000_000),
    "too many lines": _with_items(*[_item()] * 201, total=20_100),
    "no description": _with_items(_item(description=""), total=100),
    "long description": _with_items(_item(description="x" * 61), total=100),
    "painting description": _with_items(_item(description="Roll\x1b[2J"), total=100),
    "short GTIN": _with_items(_item(gtin="4012345678901"), total=100),
    "no currency": lambda request: setattr(request.total, "currency_code", ""),
    "unknown currency": lambda request: setattr(request.total, "currency_code", "EUX"),
    "no request id": lambda request: setattr(request, "request_id", b""),
    "random request id": lambda request: setattr(request, "request_id", bytes(16)),
    "no order": lambda request: setattr(request, "order_id", ""),
    "long order": lambda request: setattr(request, "order_id", "x" * 41),
    "lives too long": lambda request: request.expire_time.FromMicroseconds(
        NOW_US + 120 * SECOND_US + 1
    ),
    "ends before it begins": lambda request: request.expire_time.FromMicroseconds(NOW_US),
}


@pytest.mark.parametrize("change", _MALFORMED.values(), ids=_MALFORMED.keys())
def test_what_makes_no_sense(
    change: Callable[[PaymentRequest], None], counter: Counter, refusal_of: Refusal
) -> None:
    """Signed by the right terminal, and still not shown to anybody."""
    assert refusal_of(counter.request(change)) == "REQUEST_MALFORMED"


@pytest.mark.parametrize("amount", [0, -100])
def test_nothing_to_pay(amount: int, counter: Counter, refusal_of: Refusal) -> None:
    """Zero and less, though the items add up."""
    change = _with_items(_item(unit_price_minor=amount), total=amount)
    assert refusal_of(counter.request(change)) == "AMOUNT_NOT_POSITIVE"


@pytest.mark.parametrize("name", ["", "x" * 41, "Bank\n\x1b[1mPaid"])
def test_names_that_cannot_be_shown(name: str, counter: Counter, refusal_of: Refusal) -> None:
    """A name must fit the screen and must not paint over it."""

    def rename(certificate: MerchantCertificate) -> None:
        certificate.display_name = name

    assert refusal_of(counter.request(), counter.certificate(rename)) == "REQUEST_MALFORMED"


@pytest.mark.parametrize("field", ["merchant_id", "terminal_id"])
def test_names_that_are_none(field: str, counter: Counter, refusal_of: Refusal) -> None:
    """Request and certificate agree on a merchant or terminal that cannot be."""

    def rename(document: PaymentRequest | MerchantCertificate) -> None:
        setattr(document, field, "Shop 7")

    request, certificate = counter.request(rename), counter.certificate(rename)
    assert refusal_of(request, certificate) == "REQUEST_MALFORMED"


def test_the_name_comes_from_the_certificate(counter: Counter, make_pocket: PocketMaker) -> None:
    """A terminal of the same switch cannot borrow another's certificate for its own key."""
    other = Counter(seed=7)
    borrowed = counter.certificate()
    pocket = make_pocket()
    answer = pocket.wallet.answer(counter.present(other.request(), borrowed))
    assert status_of(answer) == "REQUEST_REFUSED"


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(124.9, "none"), (125, "EXPIRED"), (-4.9, "none"), (-5.1, "CLOCK_AHEAD")],
)
def test_the_phones_own_clock_decides(
    seconds: float, reason: str, counter: Counter, refusal_of: Refusal
) -> None:
    """With five seconds of tolerance at both ends of the request's 120 seconds."""
    request, certificate = counter.request(), counter.certificate()
    counter.now_us += int(seconds * SECOND_US)
    assert refusal_of(request, certificate) == reason


def test_a_certificate_out_of_date(counter: Counter, refusal_of: Refusal) -> None:
    """Expired, and issued in the future."""

    def expire(certificate: MerchantCertificate) -> None:
        certificate.expire_time.FromMicroseconds(counter.now_us)

    def come(certificate: MerchantCertificate) -> None:
        certificate.issue_time.FromMicroseconds(counter.now_us + 6 * SECOND_US)

    assert refusal_of(counter.request(), counter.certificate(expire)) == "EXPIRED"
    assert refusal_of(counter.request(), counter.certificate(come)) == "CLOCK_AHEAD"
