"""The one registry of decline reasons: what each means for people and for the money.

A decline is a result. The enum is on the wire (`kessai/v1/decline.proto`); what a customer, a
cashier and an operator read stands here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from kessai.enum_name import enum_name
from kessai.v1 import decline_pb2
from kessai.v1.decline_pb2 import DeclineReason


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a decline says to the customer and to the cashier."""

    customer: str
    cashier: str


_FORGED = "This payment could not be trusted. No money was moved."

MEANINGS: dict[DeclineReason.ValueType, Meaning] = {
    decline_pb2.DECLINE_REASON_REQUEST_SIGNATURE_INVALID: Meaning(
        _FORGED, "The register's own signature is wrong: pair it again."
    ),
    decline_pb2.DECLINE_REASON_REQUEST_MALFORMED: Meaning(
        _FORGED, "The register's request was not understood: update it."
    ),
    decline_pb2.DECLINE_REASON_REQUEST_NOT_FROM_CALLER: Meaning(
        _FORGED, "The request belongs to another register or shop."
    ),
    decline_pb2.DECLINE_REASON_AUTHORIZATION_UNREADABLE: Meaning(
        _FORGED, "The phone's answer was damaged or is for another purchase. Start again."
    ),
    decline_pb2.DECLINE_REASON_AUTHORIZATION_SIGNATURE_INVALID: Meaning(
        _FORGED, "The phone's signature is wrong. Ask for another way to pay."
    ),
    decline_pb2.DECLINE_REASON_AUTHORIZATION_MALFORMED: Meaning(
        _FORGED, "The phone's answer was not understood. Ask for another way to pay."
    ),
    decline_pb2.DECLINE_REASON_AUTHORIZATION_MISMATCH: Meaning(
        "The shop asked for something else than you agreed to. No money was moved.",
        "The customer agreed to something else. Start again.",
    ),
    decline_pb2.DECLINE_REASON_CUSTOMER_NOT_VERIFIED: Meaning(
        "Enter your PIN for this amount.", "The customer must enter the PIN. Start again."
    ),
    decline_pb2.DECLINE_REASON_SUBMITTER_MISMATCH: Meaning(
        _FORGED, "It was submitted by somebody else than it names. Start again."
    ),
    decline_pb2.DECLINE_REASON_BILL_SIGNATURE_INVALID: Meaning(
        "The bill was altered or forged. No money was moved.", "The bill was altered or forged."
    ),
    decline_pb2.DECLINE_REASON_BILL_MALFORMED: Meaning(
        "The bill was not understood. No money was moved.", "The bill was not understood."
    ),
    decline_pb2.DECLINE_REASON_BILL_PAYEE_UNREADABLE: Meaning(
        "The bill does not say where to pay. No money was moved.",
        "The payee's account in the bill cannot be read.",
    ),
    decline_pb2.DECLINE_REASON_SWITCH_FAULT: Meaning(
        "The bank failed at this payment. No money was moved.",
        "A fault at the switch: start again, and tell the operator the payment's number.",
    ),
    decline_pb2.DECLINE_REASON_WALLET_UNKNOWN: Meaning(
        "This phone is not enrolled here.", "The phone is not enrolled here."
    ),
    decline_pb2.DECLINE_REASON_WALLET_REVOKED: Meaning(
        "This phone was blocked. Call your bank.", "The phone was blocked."
    ),
    decline_pb2.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN: Meaning(
        "That account is not yours, or does not exist.", "The customer's account is unknown."
    ),
    decline_pb2.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN: Meaning(
        "The shop cannot be paid now. No money was moved.",
        "Your shop's account is unknown: call the operator.",
    ),
    decline_pb2.DECLINE_REASON_PAYER_IS_PAYEE: Meaning(
        "You cannot pay yourself.", "Payer and shop are the same account."
    ),
    decline_pb2.DECLINE_REASON_ACCOUNT_EXISTS: Meaning(
        "That account number is taken.", "That account number is taken."
    ),
    decline_pb2.DECLINE_REASON_WALLET_NOT_CALLER: Meaning(
        _FORGED, "The phone that submitted is not the one that agreed."
    ),
    decline_pb2.DECLINE_REASON_PAYEE_WALLET_UNKNOWN: Meaning(
        "Who asks for this money is not known here. No money was moved.",
        "The payee's phone is not enrolled here.",
    ),
    decline_pb2.DECLINE_REASON_PAYEE_WALLET_REVOKED: Meaning(
        "The phone that asks was blocked. No money was moved.", "The payee's phone was blocked."
    ),
    decline_pb2.DECLINE_REASON_PAYEE_ACCOUNT_NOT_OWN: Meaning(
        "The bill names an account that is not the payee's. No money was moved.",
        "The bill names an account that is not the payee's.",
    ),
    decline_pb2.DECLINE_REASON_ACCOUNT_FROZEN: Meaning(
        "This account is frozen. Call your bank.", "The account that pays is frozen."
    ),
    decline_pb2.DECLINE_REASON_ACCOUNT_CLOSED: Meaning(
        "The account is closed. No money was moved.",
        "One of the two accounts is closed: call the operator.",
    ),
    decline_pb2.DECLINE_REASON_ACCOUNT_NOT_EMPTY: Meaning(
        "The account is not empty.", "The account is not empty."
    ),
    decline_pb2.DECLINE_REASON_PAYER_NOT_HOLDER: Meaning(
        "Pay from the account that you entered with. No money was moved.",
        "Another account than that of the holder who entered.",
    ),
    decline_pb2.DECLINE_REASON_AMOUNT_NOT_POSITIVE: Meaning(
        "There is nothing to pay.", "The amount must be more than zero."
    ),
    decline_pb2.DECLINE_REASON_AMOUNT_TOO_LARGE: Meaning(
        "The amount is too large.", "The amount is too large."
    ),
    decline_pb2.DECLINE_REASON_CURRENCY_MISMATCH: Meaning(
        "Your account is kept in another currency.", "The account is kept in another currency."
    ),
    decline_pb2.DECLINE_REASON_INSUFFICIENT_FUNDS: Meaning(
        "Not enough money in the account.", "Declined: not enough money."
    ),
    decline_pb2.DECLINE_REASON_HOLD_NOT_PENDING: Meaning(
        "The reservation is over.", "The hold was captured, voided or timed out."
    ),
    decline_pb2.DECLINE_REASON_ALREADY_RELEASED: Meaning(
        "This was paid out before.", "The entry was released before."
    ),
    decline_pb2.DECLINE_REASON_EXPIRED: Meaning(
        "That took too long. No money was moved.", "The request expired. Start again."
    ),
    decline_pb2.DECLINE_REASON_CLOCK_AHEAD: Meaning(
        "The shop's clock is wrong. No money was moved.",
        "This register's clock is ahead: set it, then start again.",
    ),
    decline_pb2.DECLINE_REASON_CREDENTIAL_INVALID: Meaning(
        "This phone cannot prove who it is. Bring it on line once.",
        "The phone's credential is not the switch's.",
    ),
    decline_pb2.DECLINE_REASON_CREDENTIAL_EXPIRED: Meaning(
        "Your phone has been off line too long. Bring it on line once.",
        "The phone's credential is too old.",
    ),
    decline_pb2.DECLINE_REASON_CREDENTIAL_DENIED: Meaning(
        "This phone was blocked. Call your bank.", "The phone is on the deny list."
    ),
    decline_pb2.DECLINE_REASON_HOLDER_NOT_PROVEN: Meaning(
        "This phone is not the one it says it is.", "A copy: the phone lacks the key."
    ),
    decline_pb2.DECLINE_REASON_OFFLINE_LIMIT_EXCEEDED: Meaning(
        "There is no line to the bank, and this is too much without one. No money was moved.",
        "No line to the switch, and over the limit without one.",
    ),
    decline_pb2.DECLINE_REASON_OFFLINE_NOT_ALLOWED: Meaning(
        "There is no line to the bank. No money was moved.",
        "No line to the switch, and nothing may be sold without one.",
    ),
    decline_pb2.DECLINE_REASON_BALANCE_BELOW_MINIMUM: Meaning(
        "Pay in first: your account holds too little to travel.",
        "The account holds less than the entry asks for.",
    ),
    decline_pb2.DECLINE_REASON_ADMISSION_MISSING: Meaning(
        "You did not tap when you entered. See the attendant.",
        "No open admission on the phone: no tap at the entry.",
    ),
    decline_pb2.DECLINE_REASON_ADMISSION_INVALID: Meaning(
        "This admission is not good here. See the attendant.",
        "The admission is forged, altered, or another carrier's.",
    ),
    decline_pb2.DECLINE_REASON_ADMISSION_EXPIRED: Meaning(
        "Your ride took too long. See the attendant.", "The admission has expired."
    ),
    decline_pb2.DECLINE_REASON_ADMISSION_USED: Meaning(
        "Somebody left with this admission before. See the attendant.",
        "The admission was used: its fare is paid.",
    ),
    decline_pb2.DECLINE_REASON_ADMISSION_OPEN: Meaning(
        "You are inside already. See the attendant.",
        "The last ride is not over: no tap at its exit, or a second person.",
    ),
    decline_pb2.DECLINE_REASON_SAME_STATION: Meaning(
        "You entered here. See the attendant.", "Leaves where he entered."
    ),
    decline_pb2.DECLINE_REASON_NO_SUCH_TRIP: Meaning(
        "There is no fare for your ride. See the attendant.", "The fare tables have no such trip."
    ),
    decline_pb2.DECLINE_REASON_GATE_BLOCKED: Meaning(
        "This gate is out of order. Take another one. No money was moved.",
        "The barrier does not open: jammed or unplugged.",
    ),
    decline_pb2.DECLINE_REASON_MAY_NOT_TRAVEL: Meaning(
        "You cannot travel now. See on your phone what your account holds.",
        "The switch does not let this account travel. Why, only its owner can see.",
    ),
    decline_pb2.DECLINE_REASON_TICKET_OFFER_UNKNOWN: Meaning(
        "This ticket is not on sale. No money was moved.",
        "This ticket is not on sale: the machine's offers are old.",
    ),
    decline_pb2.DECLINE_REASON_TICKET_ORDER_WRONG: Meaning(
        "The price of these tickets is wrong. No money was moved.",
        "The order's prices or numbers are wrong: the machine's offers are old.",
    ),
    decline_pb2.DECLINE_REASON_TICKET_HOLDER_MISSING: Meaning(
        "This phone cannot hold tickets: update it. No money was moved.",
        "The phone cannot hold tickets.",
    ),
    decline_pb2.DECLINE_REASON_TICKET_INVALID: Meaning(
        "This is no ticket for here.", "Not a ticket of this venue and event."
    ),
    decline_pb2.DECLINE_REASON_TICKET_NOT_HOLDER: Meaning(
        "This ticket belongs to another phone.", "A copy: the phone lacks the ticket's key."
    ),
    decline_pb2.DECLINE_REASON_TICKET_NOT_IN_TIME: Meaning(
        "This ticket is not valid now.", "The ticket is not valid now."
    ),
    decline_pb2.DECLINE_REASON_TICKET_USED: Meaning(
        "This ticket was used.", "Nothing is left on the ticket."
    ),
    decline_pb2.DECLINE_REASON_TICKET_REFUNDED: Meaning(
        "You gave this ticket back.", "The ticket was refunded."
    ),
    decline_pb2.DECLINE_REASON_TICKET_REVOKED: Meaning(
        "This ticket was revoked. Ask the venue.", "The ticket was revoked."
    ),
    decline_pb2.DECLINE_REASON_ENTRANCE_OUT_OF_SERVICE: Meaning(
        "This door is out of service. Your ticket was not used.",
        "The door, its hub or its deny list fails.",
    ),
}

# Where an operator reads something else than a cashier, who has a shop and a customer before him.
_TO_OPERATORS: dict[DeclineReason.ValueType, str] = {
    decline_pb2.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN: "There is no such account.",
    decline_pb2.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN: "There is no such account.",
    decline_pb2.DECLINE_REASON_INSUFFICIENT_FUNDS: "The account does not hold that much.",
    decline_pb2.DECLINE_REASON_ACCOUNT_FROZEN: "The account is frozen.",
    decline_pb2.DECLINE_REASON_ACCOUNT_CLOSED: "The account is closed.",
    decline_pb2.DECLINE_REASON_ACCOUNT_NOT_EMPTY: "It holds money, or something of it is held.",
    decline_pb2.DECLINE_REASON_SWITCH_FAULT: "A fault at the switch: its log tells more.",
}


def name_of(reason: DeclineReason.ValueType) -> str:
    """The name that logs and screens show: "INSUFFICIENT_FUNDS"; a newer one's number: "999"."""
    return enum_name(DeclineReason.DESCRIPTOR, reason, "DECLINE_REASON_")


def meaning_of(reason: DeclineReason.ValueType) -> Meaning:
    """Tell what a reason means; a reason of a newer switch reads as a plain refusal."""
    unknown = Meaning("The payment was declined.", "The payment was declined.")
    return MEANINGS.get(reason, unknown)


def told_operator(reason: DeclineReason.ValueType) -> str:
    """Tell an operator what a reason means."""
    return _TO_OPERATORS.get(reason) or meaning_of(reason).cashier
