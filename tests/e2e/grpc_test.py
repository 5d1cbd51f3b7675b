"""weft.v1.InferenceService: what it offers, and that it is HTTP's twin."""

import json
import re

import grpc
import httpx
import pytest
import stack
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from reflection import SERVICE, Service, details

QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]
# Runs until somebody ends it.
ENDLESS = {"max_tokens": 1800, "ignore_eos": True}


@pytest.fixture
def channel(served):
    with grpc.insecure_channel(served.grpc_address) as channel:
        yield channel


@pytest.fixture
def service(channel):
    return Service(channel)


def health_of(channel):
    """Of the server as a whole and of the service by name: one word if they agree."""
    health = health_pb2_grpc.HealthStub(channel)
    return {health_pb2.HealthCheckResponse.ServingStatus.Name(
        health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5).status)
        for name in ("", SERVICE)}


def test_reflection_and_health_are_there(channel, service):
    assert SERVICE in service.database.get_services()
    names = {method.name for method in service.descriptor.methods}
    assert {"Chat", "StreamChat", "Complete", "StreamComplete", "ListModels", "Tokenize",
            "Detokenize", "GetTokenizerInfo", "GetVersion"} <= names
    assert health_of(channel) == {"SERVING"}
    with pytest.raises(grpc.RpcError) as error:
        health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="weft.v1.Nobody"), timeout=5)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_who_is_not_ready_says_so_and_when_to_come_back(bin_dir, tiny_model):
    tiers = stack.Tiers(bin_dir, tiny_model, {"worker": ["--backend", "simulated"]})
    try:
        tiers.start_tier("gateway")
        with grpc.insecure_channel(tiers.grpc_address) as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
            assert health_of(channel) == {"NOT_SERVING"}
            complete = Service(channel).method("Complete")
            with pytest.raises(grpc.RpcError) as error:
                complete(text="a")
            assert error.value.code() == grpc.StatusCode.UNAVAILABLE
            assert details(error.value)["RetryInfo"].retry_delay.seconds == 1
            assert ("grpc-retry-pushback-ms", "1000") in error.value.trailing_metadata()

            tiers.start_tier("scheduler")
            tiers.start_tier("worker")
            assert stack.eventually(lambda: health_of(channel) == {"SERVING"}, 20)
            assert complete(text="a", options={"max_tokens": 1}).choices

            tiers.kill_tier("worker")
            assert stack.eventually(lambda: health_of(channel) == {"NOT_SERVING"}, 5)
    finally:
        tiers.kill()


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


def test_tokens_in_and_tokens_out(service):
    options = {"max_tokens": 16, "temperature": 0, "return_token_ids": True}
    question = "Question: What is 17 + 25? Answer:"
    prompt = list(service.method("Tokenize")(text=question).tokens)
    answer = service.method("Complete")(tokens={"ids": prompt}, options=options)
    [choice] = answer.choices
    ids = list(choice.token_ids)
    assert list(answer.prompt_token_ids) == prompt
    assert len(ids) == answer.usage.completion_tokens > 4
    # All have text but the one that ends it.
    if choice.finish_reason == "stop":
        ids.pop()
    assert service.method("Detokenize")(tokens=ids).text == choice.text
    assert list(service.method("Tokenize")(
        text=choice.text, add_special_tokens=False).tokens) == ids

    as_text = service.method("Complete")(text=question, options=options)
    assert as_text.choices[0] == choice
    chunks = list(service.method("StreamComplete")(tokens={"ids": prompt}, options=options))
    assert [token for chunk in chunks for part in chunk.choices for token in part.token_ids] == (
        list(choice.token_ids))
    assert [list(chunk.prompt_token_ids) for chunk in chunks] == [prompt] + [[]] * (len(chunks) - 1)


def test_a_chat_tells_the_tokens_that_its_template_has_made(service):
    options = {"max_tokens": 20, "temperature": 0, "return_token_ids": True}
    answer = service.method("Chat")(messages=QUESTION, options=options)
    prompt = service.method("Tokenize")(chat={"messages": QUESTION}, return_token_strs=True)
    assert list(answer.prompt_token_ids) == list(prompt.tokens)
    assert len(prompt.token_strs) == len(prompt.tokens)
    again = service.method("Complete")(tokens={"ids": list(prompt.tokens)}, options=options)
    assert list(again.choices[0].token_ids) == list(answer.choices[0].token_ids)
    plain = service.method("Chat")(messages=QUESTION, options={"max_tokens": 2})
    assert not plain.prompt_token_ids and not plain.choices[0].token_ids


def test_a_final_message_is_continued(service, served):
    messages = [*QUESTION, {"role": "assistant", "content": "It is"}]
    prompt = service.method("Tokenize")(
        chat={"messages": messages, "continue_final_message": True}).tokens
    over_http = httpx.post(f"{served.url}/tokenize", json={
        "messages": messages, "continue_final_message": True, "add_generation_prompt": False})
    assert list(prompt) == over_http.json()["tokens"]
    with pytest.raises(grpc.RpcError) as error:
        service.method("Chat")(messages=messages, continue_final_message=True,
                               add_generation_prompt=True)
    [violation] = details(error.value)["BadRequest"].field_violations
    assert violation.field == "continue_final_message"


SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"],
          "additionalProperties": False}

ADDENDS = {"type": "object", "properties": {"a": {"type": "integer", "maximum": 99},
                                            "b": {"type": "integer", "maximum": 99}},
           "required": ["a", "b"], "additionalProperties": False}


@pytest.mark.parametrize("output, fits", [
    ({"choice": {"values": ["yes", "no"]}}, lambda text: text in ("yes", "no")),
    ({"regex": "[0-9]{2} apples"}, lambda text: re.fullmatch("[0-9]{2} apples", text)),
    ({"json_schema": json.dumps(SCHEMA)}, lambda text: list(json.loads(text)) == ["sum"]),
    ({"grammar": 'start: "a" ("b" | "x")~2 "c"'}, lambda text: re.fullmatch("a[bx]{2}c", text)),
])
def test_structured_output(service, output, fits):
    answer = service.method("Complete")(text="17 + 25 =", options={
        "max_tokens": 60, "temperature": 0, "stop": [], **output})
    assert answer.choices[0].finish_reason == "stop", answer
    assert fits(answer.choices[0].text), answer


def test_a_named_tool_is_called(service):
    call = {"messages": QUESTION, "options": {"max_tokens": 400, "temperature": 0},
            "tools": [{"name": "add", "description": "Adds two numbers.",
                       "parameters": json.dumps(ADDENDS)}],
            "tool_choice": {"mode": "MODE_NAMED", "name": "add"}}
    [choice] = service.method("Chat")(**call).choices
    [made] = choice.message.tool_calls
    assert made.name == "add" and made.id
    assert sorted(json.loads(made.arguments)) == ["a", "b"]

    chunks = service.method("StreamChat")(**call)
    parts = [part for chunk in chunks for one in chunk.choices for part in one.message.tool_calls]
    assert [part.name for part in parts if part.name] == ["add"]
    assert "".join(part.arguments for part in parts) == made.arguments
    # What comes of it goes back into the conversation.
    answer = service.method("Chat")(messages=[
        *QUESTION,
        {"role": "assistant", "tool_calls": [{"id": made.id, "name": "add",
                                              "arguments": made.arguments}]},
        {"role": "tool", "tool_call_id": made.id, "content": "42"}],
        tools=call["tools"], options={"max_tokens": 4})
    assert answer.usage.completion_tokens > 0


def test_a_grammar_that_is_none_is_a_field_violation(service):
    with pytest.raises(grpc.RpcError) as error:
        service.method("Complete")(text="a", options={"regex": "("})
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    [violation] = details(error.value)["BadRequest"].field_violations
    assert violation.field == "structured_outputs"
    assert violation.description == error.value.details()


def test_what_the_server_is(service, served):
    info = json_format.MessageToDict(service.method("GetTokenizerInfo")().info)
    assert info == httpx.get(f"{served.url}/tokenizer_info").json()
    version = httpx.get(f"{served.url}/version").json()["version"]
    assert service.method("GetVersion")().version == version


def test_models_are_listed(service, served):
    [model] = service.method("ListModels")().models
    assert model.id == served.served_name


@pytest.mark.parametrize("fields, code, field", [
    ({"messages": QUESTION, "model": "nobody"}, grpc.StatusCode.NOT_FOUND, "model"),
    ({"messages": []}, grpc.StatusCode.INVALID_ARGUMENT, "messages"),
    ({"messages": QUESTION, "options": {"temperature": 9}}, grpc.StatusCode.INVALID_ARGUMENT,
     "temperature"),
    ({"messages": QUESTION, "options": {"max_tokens": 1 << 31}}, grpc.StatusCode.INVALID_ARGUMENT,
     "max_tokens"),
    ({"messages": QUESTION, "tools": [{"name": "f", "parameters": "no JSON"}]},
     grpc.StatusCode.INVALID_ARGUMENT, "tools[0].parameters"),
])
def test_errors_are_statuses_that_name_their_field(service, fields, code, field):
    for method in ("Chat", "StreamChat"):
        with pytest.raises(grpc.RpcError) as error:
            answer = service.method(method)(**fields)
            if method == "StreamChat":
                list(answer)
        assert error.value.code() == code
        [violation] = details(error.value)["BadRequest"].field_violations
        assert violation.field == field
        assert violation.description == error.value.details()
        assert "RetryInfo" not in details(error.value)
    if code == grpc.StatusCode.NOT_FOUND:
        assert details(error.value)["ErrorInfo"].reason == "model_not_found"
        assert "nobody" in error.value.details()


def test_a_deadline_ends_the_request(service, served):
    with pytest.raises(grpc.RpcError) as error:
        service.method("Complete")(timeout=0.3, text="a", options=ENDLESS)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    served.expect_rest()


def test_a_deadline_ends_a_stream_behind_what_it_has_said(service, served):
    chunks = []
    with pytest.raises(grpc.RpcError) as error:
        for chunk in service.method("StreamComplete")(timeout=0.5, text="a", options=ENDLESS):
            chunks.append(chunk)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert any(choice.text for chunk in chunks for choice in chunk.choices)
    served.expect_rest()


def test_a_cancelled_stream_frees_its_blocks(service, served):
    call = service.method("StreamComplete")(text="a", options=ENDLESS)
    next(call)
    assert served.busy()
    call.cancel()
    served.expect_rest()


def test_a_cancelled_call_frees_its_blocks(service, served):
    call = service.method("Complete").future(text="a", options=ENDLESS)
    assert stack.eventually(served.busy, 5)
    call.cancel()
    served.expect_rest()
