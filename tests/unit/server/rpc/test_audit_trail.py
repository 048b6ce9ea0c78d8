"""An operator's act is done while his certificate is good, though his call passed the guard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.enrollment.tls_key import signing_request
from kessai.v1.operator_pb2 import AddOperatorRequest
from server.identity.audit import in_act
from server.identity.callers import set_current_caller
from server.identity.refusals import CertificateRefused
from server.rpc.audit_trail import AuditTrail
from server.rpc.call import Call
from tests.unit.server.ports import Switch

ADD_OPERATOR = Call("/kessai.v1.OperatorService/AddOperator", False, False)
MALLORY = "operator/mallory"


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """The parts of a switch."""
    made = Switch(tmp_path)
    yield made
    made.directory.close()


async def test_who_was_revoked_meanwhile_makes_no_operator(switch: Switch) -> None:
    """His call waited for the directory while he was revoked: he does not come back by it."""
    joe = switch.operators.add("joe", switch.folder / "joe", "host:7443").certificate
    csr = signing_request(ec.generate_private_key(ec.SECP256R1()))

    async def add(_request: AddOperatorRequest, _context: object) -> None:
        await in_act(switch.operators.certify, switch.request_id(), "mallory", csr)

    call = AuditTrail(switch.audit).wrap(ADD_OPERATOR, add)
    set_current_caller(switch.caller("operator/joe", joe.serial_number))
    switch.directory.revoke("operator/joe", switch.clock())
    with pytest.raises(CertificateRefused):
        await call(AddOperatorRequest(name="mallory"), None)  # type: ignore[arg-type]
    assert switch.directory.device(MALLORY) is None
    joe = switch.operators.add("joe", switch.folder / "new", "host:7443").certificate
    set_current_caller(switch.caller("operator/joe", joe.serial_number))
    await call(AddOperatorRequest(name="mallory"), None)  # type: ignore[arg-type]
    assert switch.directory.device(MALLORY) is not None
