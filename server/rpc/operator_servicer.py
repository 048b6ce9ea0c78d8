"""OperatorService on the wire: translates, decides nothing.

`server/identity/operators.py` makes operators, `four_eyes.py` keeps proposals.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc.aio

from kessai.v1 import operator_pb2 as pb
from kessai.v1.operator_pb2_grpc import OperatorServiceServicer
from server.domain.directory import Proposal
from server.identity.audit import in_act
from server.identity.callers import current_caller
from server.identity.directory_call import in_thread
from server.identity.four_eyes import FourEyes, name_of
from server.identity.operators import Operators
from server.rpc import fields

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class OperatorServicer(OperatorServiceServicer):
    """Serves operators."""

    def __init__(self, operators: Operators, four_eyes: FourEyes) -> None:
        self._operators, self._four_eyes = operators, four_eyes

    async def AddOperator(
        self, request: pb.AddOperatorRequest, context: Context
    ) -> pb.AddOperatorResponse:
        """Make an operator: FIELD_INVALID, REQUEST_ID_REUSED, APPROVAL_NEEDED."""
        request_id = fields.request_id(request.request_id)
        caller, method = current_caller(), "OperatorService/AddOperator"
        await in_thread(self._four_eyes.require, caller, method, request)
        signing_request = request.certificate_signing_request
        chain = await in_act(self._operators.certify, request_id, request.name, signing_request)
        return pb.AddOperatorResponse(
            certificate_chain=chain,
            trust_bundle=self._operators.trust_bundle,
            identity=self._operators.identity_of(request.name),
        )

    async def ListProposals(
        self, request: pb.ListProposalsRequest, context: Context
    ) -> pb.ListProposalsResponse:
        """The proposals that wait."""
        waiting = await in_thread(self._four_eyes.waiting)
        return pb.ListProposalsResponse(proposals=[_message(proposal) for proposal in waiting])

    async def ApproveAct(
        self, request: pb.ApproveActRequest, context: Context
    ) -> pb.ApproveActResponse:
        """Confirm a proposal: FIELD_INVALID, RESOURCE_UNKNOWN, CALLER_NOT_PERMITTED."""
        fields.request_id(request.request_id)
        approve = self._four_eyes.approve
        proposal = await in_act(approve, current_caller(), request.proposal_id)
        return pb.ApproveActResponse(proposal=_message(proposal))


def _message(proposal: Proposal) -> pb.Proposal:
    message = pb.Proposal(
        proposal_id=name_of(proposal),
        operator=proposal.operator,
        method=proposal.method,
        content=proposal.content,
        approver=proposal.approver if proposal.is_approved else "",
    )
    message.propose_time.FromMicroseconds(proposal.propose_us)
    message.expire_time.FromMicroseconds(proposal.expire_us)
    return message
