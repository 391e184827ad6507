"""What a client learns from the server alone."""

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from rolecall.v1 import authorization_pb2 as authorization

SERVICES = [
    "rolecall.v1.AccessService",
    "rolecall.v1.AuditService",
    "rolecall.v1.InvitationService",
    "rolecall.v1.SessionService",
    "rolecall.v1.UserService",
    "rolecall.v1.WorkspaceService",
]


def rule_of(method):
    """The authorization option of a method that came by reflection, read with the stubs' own types."""
    options = descriptor_pb2.MethodOptions.FromString(method.GetOptions().SerializeToString())
    return options.Extensions[authorization.authorization]


def test_reflection_lists_every_service_to_a_caller_without_a_credential(client, server):
    names = set(ProtoReflectionDescriptorDatabase(client.channel).get_services())
    assert names >= {*SERVICES, "grpc.health.v1.Health"}


def test_reflection_serves_the_rule_of_every_method(client, server):
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(client.channel))
    methods = [method for name in SERVICES for method in pool.FindServiceByName(name).methods]
    for method in methods:
        rule = rule_of(method)
        assert rule.WhichOneof("caller") or rule.HasField("service_scope"), f"{method.full_name} has no rule"

    change_role = rule_of(pool.FindMethodByName("rolecall.v1.UserService.ChangeUserRole"))
    assert change_role.minimum_role == authorization.ROLE_ADMIN
    assert rule_of(pool.FindMethodByName("rolecall.v1.SessionService.SignIn")).anyone


def test_the_server_and_each_of_its_services_are_healthy(client, server):
    health = health_pb2_grpc.HealthStub(client.channel)
    for service in ["", *SERVICES]:
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, service or "the server"


def test_health_does_not_know_a_service_that_is_not_there(client, server):
    health = health_pb2_grpc.HealthStub(client.channel)
    try:
        health.Check(health_pb2.HealthCheckRequest(service="rolecall.v1.Nothing"), timeout=30)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND
    else:
        raise AssertionError("an unknown service has no health")
