"""The `kessai phone` commands that begin with a PIN: pairing, and paying without it.

Mounted by `cli`.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from kessai.complaint import Complaint
from kessai.console import Console, styled
from kessai.device_identity import load_identity
from kessai.money import Money, MoneyError
from kessai.secret_input import read_secret
from simulators.phone.phone import choose_account
from simulators.phone.vault import Vault, VaultLocked, WrongPin

Folder = Annotated[Path, typer.Option("--folder", help="The phone's folder.")]
PinFile = Annotated[
    Path | None, typer.Option("--pin-file", help="Holds the PIN; else it is asked, or piped in.")
]
NoPin = Annotated[str, typer.Option("--pin", hidden=True)]

_ANOTHER = "Nothing was sent. Take another folder."


def pair(
    folder: Folder,
    pairing_uri: Annotated[str, typer.Argument(hidden=True)] = "",
    uri_file: Annotated[
        Path | None, typer.Option("--uri-file", help="Holds kessai://pair?...; else it is asked.")
    ] = None,
    pin_file: PinFile = None,
    pin: NoPin = "",
) -> None:
    """Make this a phone of a wallet, with the one-time code that the bank gave.

    Code and PIN (4 to 12 digits) are asked for, or come in by a pipe, a line each.

    Example: kessai phone pair --folder ann
    """
    code = read_secret("pairing code", uri_file, "--uri-file", pairing_uri)
    pair_phone(folder, code, read_secret("PIN", pin_file, "--pin-file", pin))


def pair_phone(folder: Path, pairing_uri: str, pin: str) -> None:
    """Pair a phone, and say as what; Complaint if that fails."""
    from kessai.durable_file import make_folder
    from kessai.enrollment import cleared_if_refused, parse_pairing_uri
    from kessai.enrollment import pair as enroll

    pairing = parse_pairing_uri(pairing_uri)
    with cleared_if_refused(folder):
        make_folder(folder)
        # The switch knows the key once it is in the vault: a pairing that was cut off finds it.
        vault = Vault(folder) if Vault.exists(folder) else Vault.create(folder, pin, os.urandom)
        try:
            key = vault.unlock(pin)
        except VaultLocked as error:
            raise Complaint(
                f"{folder} holds a phone that is locked ({error}). {_ANOTHER}"
            ) from None
        except WrongPin as error:
            raise Complaint(
                f"{folder} holds a phone with another PIN ({error}). {_ANOTHER}"
            ) from None
        identity = enroll(pairing, folder, key, f"kessai {importlib.metadata.version('kessai')}")
    console = Console()
    paired = "[green]Paired[/] as {}, at {}."
    console.print(styled(paired, identity.device, identity.server_address))
    if identity.accounts:
        try:
            asyncio.run(fetch_credential(folder, ""))
        except Complaint as complaint:
            console.print(f"No credential for gates and doors yet: {complaint}")


def without_pin(
    folder: Folder,
    limit: Annotated[str, typer.Argument(help='Such as "5.00 EUR", or "never".')],
    pin_file: PinFile = None,
    pin: NoPin = "",
) -> None:
    """Need no PIN up to an amount, where the merchant allows that too; "never" turns it off.

    Example: kessai phone without-pin "5.00 EUR" --folder ann
    """
    pay_without_pin(folder, limit, read_secret("PIN", pin_file, "--pin-file", pin))


def pay_without_pin(folder: Path, limit: str, pin: str) -> None:
    """Set the limit, or take it back; Complaint if the PIN does not fit."""
    vault = Vault(folder)
    try:
        if limit == "never":
            vault.unlock(pin)
            vault.forbid_small()
            Console().print("The PIN is asked for every amount.")
            return
        vault.allow_small(pin, money(limit), os.urandom)
    except MoneyError as error:
        raise Complaint(f"{error}. Nothing was changed.") from None
    except (WrongPin, VaultLocked) as error:
        raise Complaint(f"The PIN does not fit ({error}). Nothing was changed.") from None
    allowed = "No PIN is asked up to [bold]{}[/] where merchants allow it."
    Console().print(styled(allowed, vault.small_limit))


async def fetch_credential(folder: Path, account: str) -> None:
    """Have the bank certify the holder key for an account; Complaint if it does not."""
    from kessai.request_id import new_request_id
    from simulators.phone.bank_line import open_bank_line
    from simulators.phone.holder_key import HolderKey

    identity = load_identity(folder)
    key, number = HolderKey(folder, identity.switch_key), choose_account(identity, account)
    async with open_bank_line(folder, _now_us) as line:
        await line.certify(key, number, new_request_id(_now_us() // 1000, os.urandom))


def money(text: str) -> Money:
    """Read an amount such as "5.00 EUR"; Complaint if it is none."""
    try:
        return Money.read(text)
    except MoneyError as error:
        raise Complaint(f"{error}. Nothing was changed.") from None


def _now_us() -> int:
    return time.time_ns() // 1_000
