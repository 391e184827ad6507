"""What a Python client of Rolecall writes once: channel, stubs, credentials, and how to read a refusal."""

from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from rolecall.v1 import (
    access_service_pb2_grpc,
    audit_service_pb2_grpc,
    invitation_service_pb2_grpc,
    session_service_pb2_grpc,
    user_service_pb2_grpc,
    workspace_service_pb2_grpc,
)

CALL_SECONDS = 30


def bearer(token: str, **more: str) -> dict:
    """Keyword arguments of a call: the credential, further metadata (`_` for `-`), a deadline."""
    metadata = [("authorization", f"Bearer {token}")]
    metadata += [(name.replace("_", "-"), value) for name, value in more.items()]
    return {"metadata": metadata, "timeout": CALL_SECONDS}


def nobody() -> dict:
    """Keyword arguments of a call without a credential."""
    return {"timeout": CALL_SECONDS}


class Client:
    def __init__(self, address: str):
        self.channel = grpc.insecure_channel(address)
        self.access = access_service_pb2_grpc.AccessServiceStub(self.channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(self.channel)
        self.invitations = invitation_service_pb2_grpc.InvitationServiceStub(self.channel)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(self.channel)
        self.users = user_service_pb2_grpc.UserServiceStub(self.channel)
        self.workspaces = workspace_service_pb2_grpc.WorkspaceServiceStub(self.channel)

    def close(self) -> None:
        self.channel.close()


@dataclass(frozen=True)
class Refusal:
    """An error as the standard library of gRPC decodes it from `grpc-status-details-bin`."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]
    fields: dict[str, str]


def refusal_of(call, *arguments, **options) -> Refusal:
    """Makes a call that must be refused, and reads why."""
    try:
        answer = call(*arguments, **options)
    except grpc.RpcError as error:
        return _read(error)
    raise AssertionError(f"it should have been refused, but answered {type(answer).__name__}")


def _read(error: grpc.RpcError) -> Refusal:
    status = rpc_status.from_call(error)
    assert status is not None, f"an error without details: {error}"
    assert status.message == error.details()
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    infos = [detail for detail in status.details if detail.Unpack(info)]
    assert len(infos) == 1, f"an error carries one ErrorInfo, not {len(infos)}: {status}"
    assert info.domain == "rolecall"
    for detail in status.details:
        detail.Unpack(bad_request)
    return Refusal(
        code=error.code(),
        reason=info.reason,
        metadata=dict(info.metadata),
        fields={violation.field: violation.reason for violation in bad_request.field_violations},
    )
