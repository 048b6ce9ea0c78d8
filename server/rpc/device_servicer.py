"""DeviceService: the fleet, for operators; and renewal, for devices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import grpc.aio

from kessai.account_number import pretty_account
from kessai.identity_path import AGENT, PHONE, RELAY, IdentityError, parse_device
from kessai.money import currency_of
from kessai.pairing_code import PairingCode, format_pairing_uri
from kessai.v1 import device_pb2 as pb
from kessai.v1.device_pb2_grpc import DeviceServiceServicer
from kessai.v1.envelope_pb2 import Signed
from server.domain.directory import Device, Merchant
from server.identity.audit import in_act
from server.identity.callers import current_caller
from server.identity.directory_call import in_thread
from server.identity.enrollment import Enrollment
from server.identity.fleet import Fleet
from server.identity.four_eyes import FourEyes
from server.identity.merchants import Merchants, check_merchant
from server.identity.pairing import PairingDesk
from server.identity.refusals import Unknown
from server.identity.relays import Relays
from server.identity.wallets import Wallets
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.rpc.merchant_fields import merchant_message, updated
from server.switch.accounts import Account

USUAL_PAGE, MAX_PAGE = 100, 500

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class DeviceServicer(DeviceServiceServicer):
    """Translates; merchants, wallets, desk, enrollment, fleet and relays decide.

    `pairing_address` is the host:port of the pairing port, as devices reach it. `find_account`
    gives an account of an owner, or refuses as unknown; `naming` keeps accounts from being closed
    meanwhile; `on_sale` names offers of a merchant that are sold.
    """

    def __init__(
        self,
        merchants: Merchants,
        wallets: Wallets,
        desk: PairingDesk,
        enrollment: Enrollment,
        fleet: Fleet,
        find_account: Callable[[int, str], Awaitable[Account]],
        pairing_address: str,
        root_fingerprint: bytes,
        four_eyes: FourEyes,
        naming: Callable[..., AbstractAsyncContextManager[None]],
        on_sale: Callable[[str], list[str]],
        relays: Relays,
    ) -> None:
        self._merchants, self._wallets = merchants, wallets
        self._desk = desk
        self._enrollment = enrollment
        self._fleet = fleet
        self._find_account = find_account
        self._pairing_address = pairing_address
        self._root_fingerprint = root_fingerprint
        self._four_eyes, self._naming, self._on_sale = four_eyes, naming, on_sale
        self._relays = relays

    async def CreateMerchant(
        self, request: pb.CreateMerchantRequest, context: Context
    ) -> pb.CreateMerchantResponse:
        """Enter a merchant: FIELD_INVALID, RESOURCE_UNKNOWN, RESOURCE_EXISTS."""
        fields.request_id(request.request_id)
        limit = None
        if request.HasField("unverified_limit"):
            limit = fields.positive_money(request.unverified_limit, "unverified_limit")
        merchant = Merchant(
            request.merchant_id,
            request.display_name,
            request.category_code,
            fields.account(request.account_number),
            limit,
        )
        check_merchant(merchant)
        await self._require_account(merchant)
        async with self._naming(merchant.account):
            await in_act(self._merchants.add, merchant)
        return pb.CreateMerchantResponse()

    async def _require_account(self, merchant: Merchant) -> None:
        """Refuse an account that is not the merchant's, and a limit in another currency than it."""
        account = await self._account_of(f"merchant/{merchant.merchant_id}", merchant.account)
        limit = merchant.unverified_limit
        if limit is not None and account.ledger != currency_of(limit.currency).number:
            wrong = "is not the currency of its account"
            raise field_invalid("unverified_limit.currency_code", wrong)

    async def _account_of(self, owner: str, account: int) -> Account:
        """An account that an owner has; Unknown, in an operator's words."""
        try:
            return await self._find_account(account, owner)
        except Unknown:
            raise Unknown(
                f"{owner} has no account {pretty_account(account)}; nothing was done: look at "
                f"kessai account list --owner {owner}"
            ) from None

    async def ListMerchants(
        self, request: pb.ListMerchantsRequest, context: Context
    ) -> pb.ListMerchantsResponse:
        """List the merchants by id: FIELD_INVALID."""
        size = fields.page_size(request.page_size, USUAL_PAGE, MAX_PAGE)
        merchants, following = await in_thread(self._merchants.page, request.page_token, size)
        listed = map(merchant_message, merchants)
        return pb.ListMerchantsResponse(merchants=listed, next_page_token=following)

    async def UpdateMerchant(
        self, request: pb.UpdateMerchantRequest, context: Context
    ) -> pb.UpdateMerchantResponse:
        """Change a merchant: FIELD_INVALID, RESOURCE_UNKNOWN, APPROVAL_NEEDED."""
        fields.request_id(request.request_id)
        merchant = updated(self._merchants.find(request.merchant_id), request)
        await self._require_account(merchant)
        caller, method = current_caller(), "DeviceService/UpdateMerchant"
        await in_thread(self._four_eyes.require, caller, method, request)
        async with self._naming(merchant.account):
            await in_act(self._merchants.update, merchant)
        return pb.UpdateMerchantResponse(merchant=merchant_message(merchant))

    async def CloseMerchant(
        self, request: pb.CloseMerchantRequest, context: Context
    ) -> pb.CloseMerchantResponse:
        """Close a merchant: FIELD_INVALID, RESOURCE_UNKNOWN, RESOURCE_IN_USE."""
        fields.request_id(request.request_id)
        await in_act(self._merchants.close, request.merchant_id, self._on_sale)
        return pb.CloseMerchantResponse()

    async def CreatePairingCode(
        self, request: pb.CreatePairingCodeRequest, context: Context
    ) -> pb.CreatePairingCodeResponse:
        """Make a one-time code: FIELD_INVALID, RESOURCE_UNKNOWN, REQUEST_ID_REUSED."""
        request_id = fields.request_id(request.request_id)
        device, accounts = _device_to_pair(request)
        for account in accounts:
            await self._account_of(f"wallet/{parse_device(device)[1][0]}", account)
        caller, method = current_caller(), "DeviceService/CreatePairingCode"
        await in_thread(self._four_eyes.require, caller, method, request)
        async with self._naming(*accounts):
            code, expire_us = await in_act(self._hand_out, request_id, device, accounts, request)
        pairing = PairingCode(self._pairing_address, code, self._root_fingerprint)
        response = pb.CreatePairingCodeResponse(
            pairing_code=code, pairing_uri=format_pairing_uri(pairing)
        )
        response.expire_time.FromMicroseconds(expire_us)
        return response

    def _hand_out(
        self,
        request_id: bytes,
        device: str,
        accounts: tuple[int, ...],
        request: pb.CreatePairingCodeRequest,
    ) -> tuple[str, int]:
        if name := request.phone.display_name:
            self._wallets.put_name(parse_device(device)[1][0], name)
        if request.HasField("relay"):
            self._relays.put_merchants(request.relay.fleet_id, request.relay.merchant_ids)
        return self._desk.hand_out(request_id, device, accounts)

    async def RenewCertificate(
        self, request: pb.RenewCertificateRequest, context: Context
    ) -> pb.RenewCertificateResponse:
        """Renew the caller's certificate: FIELD_INVALID, REQUEST_ID_REUSED, CERTIFICATE_REFUSED."""
        issued = await in_act(
            self._enrollment.renew,
            current_caller(),
            fields.request_id(request.request_id),
            request.certificate_signing_request,
        )
        response = pb.RenewCertificateResponse(certificate_chain=issued.chain)
        if issued.merchant_certificate:
            response.merchant_certificate.CopyFrom(Signed.FromString(issued.merchant_certificate))
        return response

    async def RevokeDevice(
        self, request: pb.RevokeDeviceRequest, context: Context
    ) -> pb.RevokeDeviceResponse:
        """Revoke a device: FIELD_INVALID, RESOURCE_UNKNOWN."""
        fields.request_id(request.request_id)
        await in_act(
            self._fleet.revoke, request.device, current_caller().device, request.even_the_last
        )
        return pb.RevokeDeviceResponse()

    async def ListDevices(
        self, request: pb.ListDevicesRequest, context: Context
    ) -> pb.ListDevicesResponse:
        """List the devices by path: FIELD_INVALID."""
        size = fields.page_size(request.page_size, USUAL_PAGE, MAX_PAGE)
        devices, following = await in_thread(self._fleet.page, request.page_token, size)
        listed = [device_message(device) for device in devices]
        for device in listed:
            device.state.CopyFrom(await in_thread(self._fleet.state, device.device))
        return pb.ListDevicesResponse(devices=listed, next_page_token=following)


def _device_to_pair(request: pb.CreatePairingCodeRequest) -> tuple[str, tuple[int, ...]]:
    terminal, phone, numbers = request.terminal, request.phone, list[str]()
    match request.WhichOneof("device"):
        case "terminal":
            device = f"{AGENT}/{terminal.merchant_id}/{terminal.terminal_id}"
        case "phone":
            device = f"{PHONE}/{phone.wallet_id}/{phone.device_id}"
            numbers = list(phone.account_numbers)
        case "relay":
            device = f"{RELAY}/{request.relay.fleet_id}"
        case _:
            raise field_invalid("device", "a terminal, a phone or a fleet's server")
    try:
        parse_device(device)
    except IdentityError as error:
        raise field_invalid("device", str(error)) from None
    return device, tuple(fields.account(number, "phone.account_numbers") for number in numbers)


def device_message(device: Device) -> pb.Device:
    """A device as it is listed, but for its state."""
    message = pb.Device(device=device.device, software_version=device.software_version)
    message.enroll_time.FromMicroseconds(device.enroll_us)
    message.certificate_expire_time.FromMicroseconds(device.certificate_expire_us)
    if device.revoke_us is not None:
        message.revoke_time.FromMicroseconds(device.revoke_us)
    return message
