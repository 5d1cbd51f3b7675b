"""weft.v1.InferenceService as a stranger meets it: everything through reflection."""

from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)
from grpc_status import rpc_status

SERVICE = "weft.v1.InferenceService"


class Service:
    def __init__(self, channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.descriptor = descriptor_pool.DescriptorPool(self.database).FindServiceByName(SERVICE)

    def method(self, name):
        descriptor = self.descriptor.methods_by_name[name]
        response = message_factory.GetMessageClass(descriptor.output_type)
        kind = "unary_stream" if descriptor.server_streaming else "unary_unary"
        call = getattr(self.channel, kind)(
            f"/{SERVICE}/{name}", request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString)
        request = message_factory.GetMessageClass(descriptor.input_type)

        def invoke(timeout=30, metadata=(), **fields):
            return call(json_format.ParseDict(fields, request()), timeout=timeout,
                        metadata=metadata)

        def future(timeout=30, **fields):
            return call.future(json_format.ParseDict(fields, request()), timeout=timeout)

        invoke.future = future  # of a unary method: a call that can be cancelled
        return invoke


def details(error):
    """What an error says beyond its code and message, by the names of google.rpc's messages."""
    status = rpc_status.from_call(error)
    kinds = {kind.DESCRIPTOR.full_name: kind for kind in (
        error_details_pb2.RetryInfo, error_details_pb2.BadRequest, error_details_pb2.ErrorInfo)}
    found = {}
    for detail in status.details if status else ():
        message = kinds[detail.TypeName()]()
        detail.Unpack(message)
        found[detail.TypeName().removeprefix("google.rpc.")] = message
    return found
