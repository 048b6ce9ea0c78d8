"""The authorisation matrix: every method against everybody who might call it, over real TLS.

A method that is new is listed here by hand, beside those who may call it.
"""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from kessai.device_identity import DeviceIdentity
from server.identity.certificates import Validity, make_client_leaf, make_issuer, make_root
from server.main_services import MAIN_SERVICES
from tests.attack.parties import Attacker, method_named
from tests.attack.plausible import plausible
from tests.attack.world import World

A, P, O, R = "agent", "phone", "operator", "relay"  # noqa: E741

MAY_CALL: dict[str, set[str]] = {
    "PaymentService/SettlePayment": {A, P},
    "PaymentService/GetPayment": {A, P},
    "PaymentService/FollowPayments": {A, P},
    "PaymentService/CapturePayment": {A},
    "PaymentService/VoidPayment": {A},
    "PaymentService/SubmitBatch": {A},
    "FareService/ConfirmTravel": {A},
    "FareService/SetMinimumBalance": {O},
    "LedgerService/GetLogHash": {A, P},
    "LedgerService/ListPayments": {O},
    "BillService/SettleBill": {P},
    "BillService/GetWalletCertificate": {P},
    "AccountService/OpenAccount": {O},
    "AccountService/GetAccount": {P, O},
    "AccountService/ListEntries": {P, O},
    "AccountService/DepositCash": {O},
    "AccountService/WithdrawCash": {O},
    "AccountService/DistributeAccount": {O},
    "AccountService/MergeAccount": {O},
    "AccountService/GetTrialBalance": {O},
    "AccountService/ListAccounts": {O},
    "AccountService/FreezeAccount": {O},
    "AccountService/UnfreezeAccount": {O},
    "AccountService/CloseAccount": {O},
    "SuspenseService/ListSuspense": {O},
    "SuspenseService/ReleaseSuspense": {O},
    "DeviceService/CreateMerchant": {O},
    "DeviceService/ListMerchants": {O},
    "DeviceService/UpdateMerchant": {O},
    "DeviceService/CloseMerchant": {O},
    "DeviceService/CreatePairingCode": {O},
    "DeviceService/RenewCertificate": {A, P, O, R},
    "DeviceService/RevokeDevice": {O},
    "DeviceService/ListDevices": {O},
    "HolderService/IssueCredential": {P},
    "HolderService/SetRiderCategory": {O},
    "HolderService/ListOfflineLosses": {O},
    "HolderService/ForgiveOfflineLosses": {O},
    "TicketService/CreateTicketOffer": {O},
    "TicketService/WithdrawTicketOffer": {O},
    "TicketService/ListTicketOffers": {A, O},
    "TicketService/RedeemTickets": {A},
    "TicketService/RefundTicket": {A, O},
    "TicketService/RevokeTicket": {O},
    "TicketService/GetTicket": {A, O},
    "FleetService/Attach": {A},
    "FleetService/GetDeviceState": {O},
    "FleetService/ConfigureDevice": {O},
    "ShardService/AddShard": {O},
    "ShardService/RebalanceShards": {O},
    "ShardService/GetShardStatus": {O},
    "ClockService/GetClockState": {O},
    "ClockService/ConfirmClock": {O},
    "AuditService/ListAuditRecords": {O},
    "BackupService/CopyDirectory": {O},
    "OperatorService/AddOperator": {O},
    "OperatorService/ListProposals": {O},
    "OperatorService/ApproveAct": {O},
    "RelayService/PassCall": {R},
    "RelayService/GetRelay": {R},
}


def all_methods() -> set[str]:
    """Every method of the main port, "Service/Method", by reflection."""
    pool = descriptor_pool.Default()
    return {
        f"{name.rpartition('.')[2]}/{method.name}"
        for name in MAIN_SERVICES
        for method in pool.FindServiceByName(name).methods
    }


def test_every_method_is_listed() -> None:
    """None is missing here, and none is listed that does not exist."""
    assert all_methods() == set(MAY_CALL)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [A, P, O, R])
@pytest.mark.parametrize("is_empty", [True, False], ids=["empty", "plausible"])
def test_nobody_calls_what_he_may_not(world: World, kind: str, is_empty: bool) -> None:
    """Refused before anything is read, whatever is in the request."""
    party = _party(world, kind)
    for method in sorted(set(MAY_CALL) - {m for m, kinds in MAY_CALL.items() if kind in kinds}):
        full = f"/kessai.v1.{method}"
        request = GetMessageClass(method_named(full).input_type)()
        answer = party.call(full, request if is_empty else plausible(request, world))
        assert answer.code is grpc.StatusCode.PERMISSION_DENIED, (kind, method, answer)


@pytest.mark.timeout(300)
def test_a_revoked_device_calls_nothing(world: World) -> None:
    """Not even on a line that it has open."""
    revoked = world.terminal_of("gone", "till-1")
    assert revoked.call("/kessai.v1.PaymentService/GetPayment", b"").code is not _REFUSED
    world.switch.revoke(revoked.identity.device)
    assert {revoked.call(f"/kessai.v1.{method}", b"").code for method in MAY_CALL} == {_REFUSED}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [A, P, O, R])
def test_a_certificate_of_ones_own_making_opens_no_line(world: World, kind: str) -> None:
    """Whatever name it carries."""
    stranger = Attacker(_forged(_party(world, kind).identity))
    try:
        for method in ("PaymentService/GetPayment", "DeviceService/ListDevices"):
            assert stranger.call(f"/kessai.v1.{method}", b"").code is grpc.StatusCode.UNAVAILABLE
    finally:
        stranger.close()


def test_one_shop_s_terminal_touches_no_other_shop_s_payment(world: World) -> None:
    """It neither learns of it, nor voids it, nor is paid by what was signed for the other."""
    asked = world.terminal.ask()
    sealed = world.phone.agree(asked)
    stolen = world.rival.settlement(asked, sealed)
    answer = world.rival.call("/kessai.v1.PaymentService/SettlePayment", stolen)
    assert world.receipt(answer.response.receipt).decline_reason
    message = world.terminal.settlement(asked, sealed)
    world.terminal.call("/kessai.v1.PaymentService/SettlePayment", message)
    for method in ("GetPayment", "VoidPayment", "CapturePayment"):
        full = f"/kessai.v1.PaymentService/{method}"
        request = plausible(GetMessageClass(method_named(full).input_type)(), world)
        for name in ("payment_id", "request_id"):
            if name in request.DESCRIPTOR.fields_by_name and (
                name == "payment_id" or method == "GetPayment"
            ):
                setattr(request, name, message.request_id)
        assert world.rival.call(full, request).code is grpc.StatusCode.NOT_FOUND, method


def test_one_wallet_s_phone_reads_no_other_account(world: World) -> None:
    """Not even that there is one."""
    for method in ("GetAccount", "ListEntries"):
        full = f"/kessai.v1.AccountService/{method}"
        request = GetMessageClass(method_named(full).input_type)(
            account_number=world.phone.account_number
        )
        assert world.phone.call(full, request).code is grpc.StatusCode.OK
        assert world.other_phone.call(full, request).code is grpc.StatusCode.NOT_FOUND


_REFUSED = grpc.StatusCode.UNAUTHENTICATED


def _party(world: World, kind: str) -> Attacker:
    parties: dict[str, Attacker]
    parties = {A: world.terminal, P: world.phone, O: world.operator, R: world.relay}
    return parties[kind]


def _forged(identity: DeviceIdentity) -> DeviceIdentity:
    now_us = 1_700_000_000_000_000
    validity = Validity(now_us, 2 * now_us)
    trust_domain = identity.identity.removesuffix(f"/{identity.device}")
    root = make_root("a root of mine", trust_domain, validity)
    issuer = make_issuer(root, "devices of mine", trust_domain, validity)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = make_client_leaf(issuer, identity.identity, key.public_key(), validity)
    return replace(
        identity,
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        chain_pem=leaf.public_bytes(Encoding.PEM) + issuer.certificate.public_bytes(Encoding.PEM),
    )
