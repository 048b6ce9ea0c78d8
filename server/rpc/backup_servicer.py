"""BackupService on the wire: translates, decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc.aio

from kessai.v1 import backup_pb2 as pb
from kessai.v1.backup_pb2_grpc import BackupServiceServicer
from server.identity.directory_call import in_thread
from server.rpc import fields

Context = grpc.aio.ServicerContext[Any, Any]


class BackupServicer(BackupServiceServicer):
    """Serves operators. `copy` copies the directory under a name; `shards` counts the shards."""

    def __init__(self, copy: Callable[[str], str], shards: Callable[[], int]) -> None:
        self._copy, self._shards = copy, shards

    async def CopyDirectory(
        self, request: pb.CopyDirectoryRequest, context: Context
    ) -> pb.CopyDirectoryResponse:
        """Copy the directory as it is now: FIELD_INVALID, STORE_UNAVAILABLE."""
        name = fields.request_id(request.request_id).hex()
        file_name = await in_thread(self._copy, name)
        return pb.CopyDirectoryResponse(file_name=file_name, shard_count=self._shards())
