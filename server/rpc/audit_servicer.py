"""AuditService on the wire: translates, decides nothing."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc.aio

from kessai.v1 import audit_pb2 as pb
from kessai.v1.audit_pb2_grpc import AuditServiceServicer
from server.domain.directory import AuditFilter
from server.identity.audit import Audit
from server.identity.directory_call import in_thread
from server.rpc import fields

USUAL_PAGE, MAX_PAGE = 100, 500

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class AuditServicer(AuditServiceServicer):
    """Serves operators."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def ListAuditRecords(
        self, request: pb.ListAuditRecordsRequest, context: Context
    ) -> pb.ListAuditRecordsResponse:
        """A page of the audit log: FIELD_INVALID."""
        size = fields.page_size(request.page_size, USUAL_PAGE, MAX_PAGE)
        after = fields.count(request.after_sequence, "after_sequence")
        wanted = AuditFilter(request.operator, request.method, request.object)
        records = await in_thread(self._audit.page, wanted, after, size)
        return pb.ListAuditRecordsResponse(records=records)
