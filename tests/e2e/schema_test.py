"""Every kind of answer against OpenAI's published schema."""

import json

import httpx
import pytest
import sse
from openai_schema import expect_valid, expect_valid_events

MESSAGES = [{"role": "user", "content": "What is 17 + 25?"}]
SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"],
          "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "sum", "schema": SCHEMA, "strict": True}}


def post(served, path, timeout=60, **body):
    return httpx.post(served.url + path, json=body, timeout=timeout)


CHATS = [
    {},
    {"max_tokens": 5},
    {"n": 2, "temperature": 1},
    {"logprobs": True, "top_logprobs": 2},
    {"stop": ["."]},
    {"response_format": FORMAT},
]


@pytest.mark.parametrize("options", CHATS, ids=json.dumps)
def test_chats(served, options):
    body = {"messages": MESSAGES, "temperature": 0, "max_tokens": 200, **options}
    answer = post(served, "/v1/chat/completions", **body)
    assert answer.status_code == 200, answer.text
    expect_valid("CreateChatCompletionResponse", answer.json())
    for stream_options in ({}, {"include_usage": True},
                           {"include_usage": True, "continuous_usage_stats": True}):
        stream = post(served, "/v1/chat/completions", stream=True, stream_options=stream_options,
                      **body)
        *chunks, done = sse.frames(stream.text)
        assert done == "[DONE]"
        for chunk in chunks:
            expect_valid("CreateChatCompletionStreamResponse", json.loads(chunk))


COMPLETIONS = [
    {"prompt": "17 + 25 ="},
    {"prompt": ["1", "2"], "n": 2, "temperature": 1},
    {"prompt": [5, 6, 7], "logprobs": 2},
    {"prompt": "17", "echo": True, "logprobs": 1},
    {"prompt": "17", "max_tokens": 1, "prompt_logprobs": 1},
]


@pytest.mark.parametrize("options", COMPLETIONS, ids=json.dumps)
def test_completions(served, options):
    body = {"temperature": 0, "max_tokens": 16, **options}
    answer = post(served, "/v1/completions", **body)
    assert answer.status_code == 200, answer.text
    expect_valid("CreateCompletionResponse", answer.json())
    if "echo" in options or "prompt_logprobs" in options:
        return
    stream = post(served, "/v1/completions", stream=True,
                  stream_options={"include_usage": True}, **body)
    *chunks, done = sse.frames(stream.text)
    assert done == "[DONE]"
    for chunk in chunks:
        expect_valid("CreateCompletionResponse", json.loads(chunk))


RESPONSES = [
    {"input": "What is 17 + 25?"},
    {"input": "What is 17 + 25?", "max_output_tokens": 5},
    {"input": "What is 17 + 25?", "instructions": "Be brief.", "metadata": {"a": "b"},
     "reasoning": {"effort": "medium", "summary": "auto"}, "user": "ada", "store": True},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "1 + 1?"}]},
               {"type": "message", "role": "assistant", "content": "2"},
               {"role": "user", "content": "And 17 + 25?"}]},
    {"input": "What is 17 + 25?", "include": ["message.output_text.logprobs"], "top_logprobs": 2},
    {"input": "What is 17 + 25?", "text": {"format": {"type": "json_schema", "name": "sum",
                                                      "schema": SCHEMA, "strict": True}}},
]


@pytest.mark.parametrize("options", RESPONSES, ids=json.dumps)
def test_responses(served, options):
    body = {"model": served.served_name, "temperature": 0, "max_output_tokens": 200, **options}
    answer = post(served, "/v1/responses", **body)
    assert answer.status_code == 200, answer.text
    whole = answer.json()
    expect_valid("Response", whole)
    events = expect_valid_events(post(served, "/v1/responses", stream=True, **body).text)
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == f"response.{whole['status']}"
    said = [[part for part in item.get("content", [])] for item in whole["output"]]
    streamed = events[-1]["response"]["output"]
    assert [[part for part in item.get("content", [])] for item in streamed] == said
    for kind in ("reasoning_text", "output_text"):
        deltas = "".join(event["delta"] for event in events
                         if event["type"] == f"response.{kind}.delta")
        parts = [part["text"] for item in said for part in item if part["type"] == kind]
        assert deltas == "".join(parts)


def test_models(served):
    listed = httpx.get(f"{served.url}/v1/models").json()
    expect_valid("ListModelsResponse", listed)
    expect_valid("Model", httpx.get(f"{served.url}/v1/models/{served.served_name}").json())


@pytest.mark.parametrize("method, path, body, status", [
    ("POST", "/v1/chat/completions", {}, 400),
    ("POST", "/v1/chat/completions", {"messages": MESSAGES, "model": "nobody"}, 404),
    ("POST", "/v1/responses", {}, 400),
    ("POST", "/v1/responses", {"input": "a", "previous_response_id": "resp_1"}, 400),
    ("GET", "/v1/responses/resp_1", None, 404),
    ("DELETE", "/v1/responses/resp_1", None, 404),
    ("POST", "/v1/responses/resp_1/cancel", None, 404),
    ("GET", "/v1/models/nobody", None, 404),
    ("GET", "/v1/chat/completions", None, 405),
    ("GET", "/nowhere", None, 404),
])
def test_errors(served, method, path, body, status):
    answer = httpx.request(method, served.url + path, json=body)
    assert answer.status_code == status
    expect_valid("ErrorResponse", answer.json())
