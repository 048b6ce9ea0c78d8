"""A real switch for tests: a data folder of its own, and `kessai serve` on it as a process.

`RunningSwitch.start(folder)` gives it; the operator's calls that tests need are its methods. Ports
are free ones on 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import grpc

from kessai.account_number import format_account, make_account
from kessai.channel import CHANNEL_OPTIONS
from kessai.device_identity import DeviceIdentity, load_identity
from kessai.money import Money
from kessai.request_id import format_request_id, new_request_id
from kessai.v1 import account_pb2, device_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from server.commands.folder import make_folder
from server.commands.ledger import verify_folder
from tests.warm import WarmProcess

KESSAI = str(Path(sys.executable).with_name("kessai"))
SERVE = (KESSAI, "serve", "--data")
START_LIMIT_S = 60.0
CALL_LIMIT_S = 30.0


def kessai(*words: str, check: bool = True, says: str = "") -> subprocess.CompletedProcess[str]:
    """Run a kessai command to its end; `says` is piped in."""
    pipe, command = subprocess.PIPE, [KESSAI, *words]
    with WarmProcess(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            output, errors = process.communicate(says, timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


def shard_path(folder: Path, shard: int) -> Path:
    """Name the file of a shard in a data folder."""
    return folder / "shards" / f"{shard:04d}.db"


def fresh_id() -> str:
    """Make a request id as text."""
    return format_request_id(new_request_id(time.time_ns() // 1_000_000, os.urandom))


@dataclass
class RunningSwitch:
    """A switch process and its operator."""

    folder: Path
    process: subprocess.Popen[bytes]
    address: str
    pairing_address: str
    metrics_address: str
    program: tuple[str, ...] = SERVE

    @classmethod
    def start(
        cls,
        folder: Path,
        shards: int = 4,
        *,
        test_amounts: bool = False,
        stderr: int | None = None,
        program: tuple[str, ...] = SERVE,
    ) -> RunningSwitch:
        """Make a data folder if there is none, and serve on it, with a program of its own.

        `stderr` is a descriptor for its log, which else goes to a file in the folder.
        """
        if not folder.exists():
            free = "127.0.0.1:0"
            make_folder(
                folder, shards=shards, listen=free, pairing_listen=free, metrics_listen=free,
                test_amounts=test_amounts,
            )  # fmt: skip
        process, running = _serve(program, folder, {}, stderr)
        return cls(
            folder, process,
            running["address"], running["pairing_address"], running["metrics_address"],
            program,
        )  # fmt: skip

    def restart(self) -> None:
        """Serve again on the same folder and the same ports, after `stop` or `kill`."""
        ports = {
            "KESSAI_LISTEN": self.address,
            "KESSAI_PAIRING_LISTEN": self.pairing_address,
            "KESSAI_METRICS_LISTEN": self.metrics_address,
        }
        self.process, _ = _serve(self.program, self.folder, ports)

    def stop(self) -> None:
        """Stop it as an operator would, and wait for a clean end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0, (self.folder / "serve.log").read_text()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait(timeout=60)

    def verify(self) -> None:
        """Verify the books, as `kessai ledger verify` does; Complaint if they do not."""
        verify_folder(self.folder)

    @property
    def operator(self) -> DeviceIdentity:
        """The operator's identity, with today's address."""
        return replace(load_identity(self.folder / "operator"), server_address=self.address)

    def channel(self, identity: DeviceIdentity | None = None) -> grpc.Channel:
        """Open a line for an identity, or the operator; blocking, for tests."""
        who = identity or self.operator
        credentials = grpc.ssl_channel_credentials(who.root_pem, who.key_pem, who.chain_pem)
        return grpc.secure_channel(self.address, credentials, list(CHANNEL_OPTIONS))

    def open_account(self, owner: str, number: int, cash: int = 0, currency: str = "EUR") -> str:
        """Open an account in branch 1 and pay cash in (minor units); its fourteen digits."""
        text = format_account(make_account(1, number))
        with self.channel() as channel:
            stub = AccountServiceStub(channel)
            stub.OpenAccount(
                account_pb2.OpenAccountRequest(
                    request_id=fresh_id(), owner=owner, currency_code=currency,
                    branch=1, number=number,
                ),
                timeout=CALL_LIMIT_S,
            )  # fmt: skip
            if cash:
                request = account_pb2.DepositCashRequest(
                    request_id=fresh_id(),
                    account_number=text,
                    amount=Money(cash, currency).to_proto(),
                )
                assert not stub.DepositCash(request, timeout=CALL_LIMIT_S).decline_reason
        return text

    def deposit(self, account_number: str, cash: int, currency: str = "EUR") -> None:
        """Pay cash in, minor units."""
        request = account_pb2.DepositCashRequest(
            request_id=fresh_id(),
            account_number=account_number,
            amount=Money(cash, currency).to_proto(),
        )
        with self.channel() as channel:
            answer = AccountServiceStub(channel).DepositCash(request, timeout=CALL_LIMIT_S)
        assert not answer.decline_reason

    def balance(self, account_number: str) -> int:
        """Tell an account's balance in minor units."""
        request = account_pb2.GetAccountRequest(account_number=account_number)
        with self.channel() as channel:
            answer = AccountServiceStub(channel).GetAccount(request, timeout=CALL_LIMIT_S)
        return answer.account.balance.amount_minor

    def available(self, account_number: str) -> int:
        """Tell what of an account can be spent, in minor units: its balance less what is held."""
        request = account_pb2.GetAccountRequest(account_number=account_number)
        with self.channel() as channel:
            answer = AccountServiceStub(channel).GetAccount(request, timeout=CALL_LIMIT_S)
        return answer.account.available.amount_minor

    def create_merchant(
        self,
        merchant_id: str,
        name: str,
        account_number: str,
        category_code: str = "5411",
        unverified_limit: Money | None = None,
    ) -> None:
        """Enter a merchant in the directory."""
        request = device_pb2.CreateMerchantRequest(
            request_id=fresh_id(), merchant_id=merchant_id, display_name=name,
            category_code=category_code, account_number=account_number,
        )  # fmt: skip
        if unverified_limit is not None:
            request.unverified_limit.CopyFrom(unverified_limit.to_proto())
        with self.channel() as channel:
            DeviceServiceStub(channel).CreateMerchant(request, timeout=CALL_LIMIT_S)

    def pair_terminal(self, merchant_id: str, terminal_id: str) -> str:
        """Make a pairing code for a terminal; its URI."""
        terminal = device_pb2.TerminalPairing(merchant_id=merchant_id, terminal_id=terminal_id)
        return self._pair(device_pb2.CreatePairingCodeRequest(terminal=terminal))

    def pair_phone(self, wallet_id: str, device_id: str, *account_numbers: str) -> str:
        """Make a pairing code for a phone; its URI."""
        phone = device_pb2.PhonePairing(
            wallet_id=wallet_id, device_id=device_id, account_numbers=account_numbers
        )
        return self._pair(device_pb2.CreatePairingCodeRequest(phone=phone))

    def pair_relay(self, fleet_id: str, *merchant_ids: str) -> str:
        """Make a pairing code for a fleet's server that serves these merchants; its URI."""
        relay = device_pb2.RelayPairing(fleet_id=fleet_id, merchant_ids=merchant_ids)
        return self._pair(device_pb2.CreatePairingCodeRequest(relay=relay))

    def name_wallet(self, wallet_id: str, name: str) -> None:
        """Enter the name that people see on a wallet's bills."""
        phone = device_pb2.PhonePairing(wallet_id=wallet_id, device_id="unused", display_name=name)
        self._pair(device_pb2.CreatePairingCodeRequest(phone=phone))

    def revoke(self, device: str) -> None:
        """Revoke a device."""
        request = device_pb2.RevokeDeviceRequest(request_id=fresh_id(), device=device)
        with self.channel() as channel:
            DeviceServiceStub(channel).RevokeDevice(request, timeout=CALL_LIMIT_S)

    def _pair(self, request: device_pb2.CreatePairingCodeRequest) -> str:
        request.request_id = fresh_id()
        with self.channel() as channel:
            answer = DeviceServiceStub(channel).CreatePairingCode(request, timeout=CALL_LIMIT_S)
        return answer.pairing_uri


def _serve(
    program: tuple[str, ...],
    folder: Path,
    settings: dict[str, str],
    stderr: int | None = None,
) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Start a switch with these settings in its environment; where it listens comes back."""
    running_file = folder / "running.json"
    running_file.unlink(missing_ok=True)
    with open(folder / "serve.log", "ab") as log:
        process_class = WarmProcess if program == SERVE else subprocess.Popen
        process = process_class(
            [*program, str(folder)],
            stderr=log if stderr is None else stderr,
            env=os.environ | settings,
        )
    deadline = time.monotonic() + START_LIMIT_S
    while not running_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise RuntimeError((folder / "serve.log").read_text())
        time.sleep(0.01)
    return process, json.loads(running_file.read_text())
