"""weft.v1.InferenceService as a stranger meets it: everything through reflection."""

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)

SERVICE = "weft.v1.InferenceService"
QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]


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

        def invoke(timeout=30, **fields):
            return call(json_format.ParseDict(fields, request()), timeout=timeout)

        return invoke


@pytest.fixture
def channel(served):
    with grpc.insecure_channel(served.grpc_address) as channel:
        yield channel


@pytest.fixture
def service(channel):
    return Service(channel)


def test_reflection_and_health_are_there(channel, service):
    assert SERVICE in service.database.get_services()
    names = {method.name for method in service.descriptor.methods}
    assert {"Chat", "StreamChat", "Complete", "StreamComplete", "ListModels", "Tokenize",
            "Detokenize"} <= names
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_chat_over_grpc_is_the_chat_over_http(service, client, served):
    options = {"max_tokens": 60, "temperature": 0}
    over_http = client.chat.completions.create(model=served.served_name, messages=QUESTION,
                                               **options)
    answer = service.method("Chat")(messages=QUESTION, options=options)
    message = answer.choices[0].message
    assert message.content == (over_http.choices[0].message.content or "")
    assert message.reasoning_content == over_http.choices[0].message.reasoning_content
    assert answer.choices[0].finish_reason == over_http.choices[0].finish_reason
    assert answer.usage.completion_tokens == over_http.usage.completion_tokens
    assert answer.model == served.served_name

    chunks = list(service.method("StreamChat")(messages=QUESTION, options=options))
    parts = [choice.message for chunk in chunks for choice in chunk.choices]
    assert "".join(part.content for part in parts) == message.content
    assert "".join(part.reasoning_content for part in parts) == message.reasoning_content
    assert [chunk.HasField("usage") for chunk in chunks].index(True) == len(chunks) - 1


def test_a_completion_streamed_and_not(service):
    options = {"max_tokens": 16, "temperature": 0}
    whole = service.method("Complete")(text="17 + 25 =", options=options)
    parts = service.method("StreamComplete")(text="17 + 25 =", options=options)
    text = "".join(choice.text for part in parts for choice in part.choices)
    assert text == whole.choices[0].text


def test_prompt_logprobs_over_grpc_are_those_over_http(service, client, served):
    options = {"max_tokens": 1, "prompt_logprobs": 2, "temperature": 0}
    answer = service.method("Complete")(text="17 + 25 =", options=options)
    over_http = client.completions.create(
        model=served.served_name, prompt="17 + 25 =", max_tokens=1, temperature=0,
        extra_body={"prompt_logprobs": 2}).choices[0].prompt_logprobs
    assert len(answer.prompt_logprobs) == len(over_http) == answer.usage.prompt_tokens
    assert answer.prompt_logprobs[0].rank == 0
    for one, expected in zip(answer.prompt_logprobs[1:], over_http[1:]):
        entry = expected[str(one.token.id)]
        assert one.rank == entry["rank"]
        assert one.token.logprob == pytest.approx(entry["logprob"], abs=1e-5)
        assert {str(top.id) for top in one.top} <= set(expected)
    with pytest.raises(grpc.RpcError) as error:
        list(service.method("StreamComplete")(text="17", options=options))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_tokens_there_and_back(service):
    tokens = service.method("Tokenize")(text="Tom has 12 apples", add_special_tokens=False).tokens
    assert service.method("Detokenize")(tokens=list(tokens)).text == "Tom has 12 apples"


def test_models_are_listed(service, served):
    [model] = service.method("ListModels")().models
    assert model.id == served.served_name


@pytest.mark.parametrize("fields, code, word", [
    ({"messages": QUESTION, "model": "nobody"}, grpc.StatusCode.NOT_FOUND, "nobody"),
    ({"messages": []}, grpc.StatusCode.INVALID_ARGUMENT, "messages"),
    ({"messages": QUESTION, "options": {"temperature": 9}}, grpc.StatusCode.INVALID_ARGUMENT,
     "temperature"),
    ({"messages": QUESTION, "options": {"max_tokens": 1 << 31}}, grpc.StatusCode.INVALID_ARGUMENT,
     "max"),
])
def test_errors_are_statuses_with_the_message_that_http_gives(service, fields, code, word):
    for method in ("Chat", "StreamChat"):
        with pytest.raises(grpc.RpcError) as error:
            answer = service.method(method)(**fields)
            if method == "StreamChat":
                list(answer)
        assert error.value.code() == code
        assert word in error.value.details()


def test_a_deadline_ends_the_request(service, served):
    with pytest.raises(grpc.RpcError) as error:
        service.method("Complete")(timeout=0.3, text="a", options={
            "max_tokens": 1800, "ignore_eos": True})
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    served.expect_rest()


def test_a_cancelled_stream_frees_its_blocks(service, served):
    call = service.method("StreamComplete")(text="a", options={"max_tokens": 1800,
                                                               "ignore_eos": True})
    next(call)
    call.cancel()
    served.expect_rest()
