"""The server's own description: valid OpenAPI 3.1, and true of its answers."""

import json

import httpx
import jsonschema
import openapi_spec_validator
import pytest
import sse
from openai_schema import events

MESSAGES = [{"role": "user", "content": "What is 17 + 25?"}]


@pytest.fixture(scope="module")
def document(session_stack):
    answer = httpx.get(f"{session_stack.url}/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


@pytest.fixture
def expect_described(document):
    def expect(name, value):
        validator = jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]})
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
        assert error is None, f"{name}: {error.json_path}: {error.message[:500]}"
    return expect


def test_it_is_valid(document):
    openapi_spec_validator.validate(document, cls=openapi_spec_validator.OpenAPIV31SpecValidator)
    assert document["openapi"].startswith("3.1")


def test_every_operation_is_there(served, document):
    for path, operations in document["paths"].items():
        url = served.url + path.replace("{id}", served.served_name)
        for method in ("GET", "POST", "DELETE", "PUT"):
            answer = httpx.request(method, url, json={} if method == "POST" else None)
            if method.lower() in operations:
                assert str(answer.status_code) in operations[method.lower()]["responses"], answer
            else:
                assert answer.status_code in (404, 405), (method, path, answer)


@pytest.mark.parametrize("path, name, stream_name, body", [
    ("/v1/chat/completions", "ChatCompletion", "ChatCompletionChunk",
     {"messages": MESSAGES, "max_tokens": 200, "logprobs": True, "top_logprobs": 1}),
    ("/v1/completions", "Completion", "Completion",
     {"prompt": "17 + 25 =", "logprobs": 1, "stop": ["\n"]}),
    ("/v1/responses", "Response", "ResponseEvent",
     {"input": "What is 17 + 25?", "max_output_tokens": 200}),
])
def test_what_is_generated_is_as_described(served, expect_described, path, name, stream_name, body):
    request = {"ChatCompletion": "ChatRequest", "Completion": "CompletionRequest",
               "Response": "ResponseRequest"}[name]
    expect_described(request, body)
    answer = httpx.post(served.url + path, json=body, timeout=60)
    expect_described(name, answer.json())
    stream = httpx.post(served.url + path, json={**body, "stream": True}, timeout=60).text
    if name == "Response":
        frames = events(stream)
    else:
        frames = [json.loads(frame) for frame in sse.frames(stream)[:-1]]
    assert frames
    for frame in frames:
        expect_described(stream_name, frame)


def test_what_is_looked_up_is_as_described(served, expect_described):
    expect_described("ModelList", httpx.get(f"{served.url}/v1/models").json())
    expect_described("Model", httpx.get(f"{served.url}/v1/models/{served.served_name}").json())
    tokens = httpx.post(f"{served.url}/tokenize", json={"prompt": "a", "return_token_strs": True})
    expect_described("Tokens", tokens.json())
    expect_described("Text", httpx.post(f"{served.url}/detokenize",
                                        json={"tokens": tokens.json()["tokens"]}).json())
    for url in ("/nowhere", "/v1/models/nobody", "/v1/responses/resp_1"):
        expect_described("ErrorResponse", httpx.get(served.url + url).json())
