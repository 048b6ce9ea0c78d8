"""Every method of every service, called by each kind of caller with requests that say nothing.

By reflection, so that a new method is called too. None of it is ever a fault of ours.
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from kessai.device_identity import DeviceIdentity, load_identity
from server.main_services import MAIN_SERVICES
from tests.pairing import pair_agent, pair_phone
from tests.running import RunningSwitch

LIMIT_S = 60.0
OURS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED)


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwitch]:
    """A switch with a terminal, a fleet's server and a phone in folders of their own."""
    folder = tmp_path_factory.mktemp("every")
    running = RunningSwitch.start(folder / "switch", shards=2)
    try:
        running.create_merchant("shop", "Shop", running.open_account("merchant/shop", 7))
        pair_agent(folder / "till", running.pair_terminal("shop", "till"))
        pair_agent(folder / "relay", running.pair_relay("fleet", "shop"))
        pair_phone(folder / "phone", "1234", running.pair_phone("ann", "pixel"))
        yield running
    finally:
        running.kill()


def callers(switch: RunningSwitch) -> dict[str, DeviceIdentity]:
    """One of each kind."""
    around = switch.folder.parent
    return {
        "operator": switch.operator,
        "agent": load_identity(around / "till"),
        "relay": load_identity(around / "relay"),
        "phone": load_identity(around / "phone"),
    }


def methods(channel: grpc.Channel) -> list[MethodDescriptor]:
    """What the switch says by reflection that it serves."""
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = descriptor_pool.DescriptorPool(database)
    services = [pool.FindServiceByName(name) for name in database.get_services()]
    return [method for service in services for method in service.methods]


def call(channel: grpc.Channel, method: MethodDescriptor, request: bytes) -> grpc.StatusCode:
    """Call a method with one request, whatever its shape; how it ended, or OK if it goes on."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    shape = f"{_side(method.client_streaming)}_{_side(method.server_streaming)}"
    sent = iter([request]) if method.client_streaming else request
    try:
        answer = getattr(channel, shape)(path)(sent, timeout=LIMIT_S)
        if method.server_streaming:
            next(answer, None)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def call_all(switch: RunningSwitch, kind: str, request: bytes) -> dict[str, grpc.StatusCode]:
    """How every method ended for a kind of caller, by its name."""
    with switch.channel() as channel:
        served = methods(channel)
    with switch.channel(callers(switch)[kind]) as channel:
        return {method.full_name: call(channel, method, request) for method in served}


def _side(streaming: bool) -> str:
    return "stream" if streaming else "unary"


@pytest.mark.parametrize("kind", ["operator", "agent", "phone", "relay"])
def test_an_empty_request_is_no_fault_of_ours(switch: RunningSwitch, kind: str) -> None:
    ended = call_all(switch, kind, b"")
    assert {method: code for method, code in ended.items() if code in OURS} == {}
    assert len(ended) >= 40
    assert "internal error" not in (switch.folder / "serve.log").read_text()


@pytest.mark.parametrize("kind", ["operator", "agent", "phone", "relay"])
def test_bytes_that_are_no_message_are_the_callers_fault(switch: RunningSwitch, kind: str) -> None:
    ended = call_all(switch, kind, b"\xff\xff\xff")
    refused = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED}
    assert {method: code for method, code in ended.items() if code not in refused} == {}


def test_health_lists_every_service(switch: RunningSwitch) -> None:
    with switch.channel() as channel:
        answer = health_pb2_grpc.HealthStub(channel).List(
            health_pb2.HealthListRequest(), timeout=LIMIT_S
        )
    assert set(answer.statuses) == {"", *MAIN_SERVICES}
    serving = health_pb2.HealthCheckResponse.SERVING
    assert {state.status for state in answer.statuses.values()} == {serving}
