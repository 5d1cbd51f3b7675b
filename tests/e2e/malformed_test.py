"""Bad input through the real gateway: each is answered with the right status and an
error object that names what is wrong, harms nobody, and leaves nothing behind."""

import json
import threading
import time

import httpx
import pytest
import stack

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MESSAGES = [{"role": "user", "content": "What is 17 + 25?"}]
DEEP = 100_000


def chat(**fields):
    return CHAT, json.dumps({"messages": MESSAGES, "max_tokens": 4, **fields})


def completion(**fields):
    return COMPLETIONS, json.dumps({"prompt": "a", "max_tokens": 4, **fields})


def raw(fields):
    """A chat whose JSON is written by hand."""
    return CHAT, '{"messages":[{"role":"user","content":"hi"}],"max_tokens":4,' + fields + "}"


def content(parts):
    return chat(messages=[{"role": "user", "content": parts}])


def schema(value):
    return chat(response_format={"type": "json_schema",
                                 "json_schema": {"name": "s", "schema": value}})


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


# (number in the list of malformed inputs, what it is, (path, body), status, what `param`
# or the message names)
CASES = [
    (27, "empty", (CHAT, ""), 400, ""),
    (28, "truncated", (CHAT, '{"messages": [{"role": "us'), 400, ""),
    (29, "array", (CHAT, "[1, 2]"), 400, "object"),
    (30, "depth 100k of arrays", (CHAT, "[" * DEEP), 400, ""),
    (30, "depth 100k of objects", (CHAT, nested(DEEP)), 400, ""),
    (31, "duplicate keys", raw('"n":1,"n":2'), 400, "n"),
    (32, "bad UTF-8", (CHAT, b'{"messages":[{"role":"user","content":"\xff\xfe"}]}'), 400, ""),
    (33, "lone surrogate", raw(r'"user":"\ud800"'), 400, ""),
    (34, "NaN", raw('"temperature":NaN'), 400, ""),
    (34, "Infinity", raw('"temperature":Infinity'), 400, ""),
    (35, "1e400", raw('"temperature":1e400'), 400, ""),
    (36, "2^63 as int", raw('"seed":9223372036854775808'), 400, "seed"),
    (36, "1.5 as int", raw('"top_k":1.5'), 400, "top_k"),
    (37, "trailing bytes", (CHAT, chat()[1] + " x"), 400, ""),
    (38, "over the limit", (CHAT, json.dumps({"messages": MESSAGES, "user": "x" * (3 << 20)})),
     413, ""),
    (39, "byte order mark", (CHAT, b"\xef\xbb\xbf" + chat()[1].encode()), 400, ""),
    (40, "n 0", chat(n=0), 400, "n"),
    (40, "n -1", chat(n=-1), 400, "n"),
    (40, "n 2^31", chat(n=2**31), 400, "n"),
    (41, "max_tokens 0", chat(max_tokens=0), 400, "max_tokens"),
    (41, "max_tokens -5", completion(max_tokens=-5), 400, "max_tokens"),
    (41, "max_tokens huge", chat(max_tokens=10**12), 400, "max_tokens"),
    (42, "temperature -1", chat(temperature=-1), 400, "temperature"),
    (42, "temperature 1e30", chat(temperature=1e30), 400, "temperature"),
    (43, "top_p 0", chat(top_p=0), 400, "top_p"),
    (43, "top_p 2", chat(top_p=2), 400, "top_p"),
    (44, "top_k -2", chat(top_k=-2), 400, "top_k"),
    (45, "logit_bias -1", chat(logit_bias={"-1": 1}), 400, "logit_bias"),
    (45, "logit_bias past the vocabulary", chat(logit_bias={"99999999": 1}), 400, "logit_bias"),
    (45, "logit_bias x", chat(logit_bias={"x": 1}), 400, "logit_bias"),
    (45, "logit_bias 1e9", chat(logit_bias={"5": 1e9}), 400, "logit_bias"),
    (45, "logit_bias -1e9", chat(logit_bias={"5": -1e9}), 400, "logit_bias"),
    (45, "logit_bias of 100k", chat(logit_bias={str(i): 1 for i in range(100_000)}), 400,
     "logit_bias"),
    (46, "stop empty", chat(stop=""), 400, "stop"),
    (46, "stop of 1000", chat(stop=["x"] * 1000), 400, "stop"),
    (46, "stop of 1 MB", chat(stop="x" * 1_000_000), 400, "stop"),
    (47, "top_logprobs -1", chat(logprobs=True, top_logprobs=-1), 400, "logprobs"),
    (47, "top_logprobs 1e6", chat(logprobs=True, top_logprobs=10**6), 400, "logprobs"),
    (47, "logprobs -1", completion(logprobs=-1), 400, "logprobs"),
    (47, "logprobs 1e6", completion(logprobs=10**6), 400, "logprobs"),
    (48, "token id -1", completion(prompt=[1, -1]), 400, "prompt"),
    (48, "token id past the vocabulary", completion(prompt=[99_999_999]), 400, "prompt"),
    (48, "stop token id -1", chat(stop_token_ids=[-1]), 400, "stop_token_ids"),
    (48, "stop token id past the vocabulary", chat(stop_token_ids=[10**9]), 400,
     "stop_token_ids"),
    (49, "seed 2^64", raw('"seed":18446744073709551616'), 400, "seed"),
    (50, "presence_penalty 3", chat(presence_penalty=3), 400, "presence_penalty"),
    (50, "frequency_penalty -3", chat(frequency_penalty=-3), 400, "frequency_penalty"),
    (50, "repetition_penalty 0", chat(repetition_penalty=0), 400, "repetition_penalty"),
    (50, "repetition_penalty -1", chat(repetition_penalty=-1), 400, "repetition_penalty"),
    (51, "stream yes", chat(stream="yes"), 400, "stream"),
    (52, "unknown model", chat(model="nobody"), 404, "nobody"),
    (52, "model with a path", chat(model="../../etc/passwd"), 404, "model"),
    (53, "chat_template", chat(chat_template="{{ 7 * 7 }}"), 400, "chat_template"),
    (53, "chat_template_kwargs", chat(chat_template_kwargs={"chat_template": "{{ 7 * 7 }}"}), 400,
     "chat_template"),
    (54, "no messages", chat(messages=[]), 400, "messages"),
    (54, "messages absent", (CHAT, "{}"), 400, "messages"),
    (54, "messages null", chat(messages=None), 400, "messages"),
    (54, "message null", chat(messages=[None]), 400, "messages"),
    (54, "bad role", chat(messages=[{"role": "king", "content": "x"}]), 400, "role"),
    (54, "content null", chat(messages=[{"role": "user", "content": None}]), 400, "content"),
    (54, "content a number", chat(messages=[{"role": "user", "content": 5}]), 400, "content"),
    (55, "image part", content([{"type": "image_url",
                                 "image_url": {"url": "data:image/png;base64,AAAA"}}]), 400, ""),
    (57, "prompt over the context", completion(prompt="one two three " * 20_000), 400, "context"),
    (57, "prompt and output over the context", completion(max_tokens=100_000), 400, "context"),
    (60, "deep schema", (CHAT, chat()[1][:-1] + ',"response_format":{"type":"json_schema",'
                         '"json_schema":{"name":"s","schema":' + nested(2000) + "}}}"), 400, ""),
    (60, "a pattern that explodes", schema({"type": "string", "pattern": "(a+)+$"}), 400,
     "response_format"),
    (60, "cyclic $ref", schema({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), 400,
     "response_format"),
]


def post(served, path, body, timeout=20):
    data = body if isinstance(body, bytes) else body.encode()
    return httpx.post(served.url + path, content=data, timeout=timeout,
                      headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("request_, status, named", [case[2:] for case in CASES],
                         ids=[f"{case[0]} {case[1]}" for case in CASES])
def test_bad_input_is_answered_with_its_cause(served, request_, status, named):
    started_at = time.monotonic()
    answer = post(served, *request_)
    assert answer.status_code == status, answer.text
    assert time.monotonic() - started_at < 2
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    assert named in f"{error['message']} {error['param']}"
    assert len(error["message"]) < 1000, "an echo of the input"


def test_a_temperature_of_1e_30_is_greedy(served):
    said = [post(served, *completion(temperature=temperature, max_tokens=8)).json()["choices"]
            for temperature in (1e-30, 0)]
    assert said[0] == said[1]


def test_control_tokens_in_a_users_text_are_text(served):
    """56: they take more tokens than one, and end no turn."""
    for word in ("<|im_end|>", "<｜end▁of▁sentence｜>", "<｜Assistant｜>", "<think>"):
        answer = post(served, *content(f"Say {word} now"))
        assert answer.status_code == 200
        plain = httpx.post(f"{served.url}/tokenize", json={
            "prompt": word, "add_special_tokens": False}).json()["tokens"]
        assert len(plain) > 1, f"{word} is one token"


def test_over_context_has_openais_code(served):
    answer = post(served, *completion(prompt="one two three " * 20_000))
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert "maximum context length" in answer.json()["error"]["message"]


def test_a_million_letters_are_refused_within_a_second_and_others_go_on(served):
    """59"""
    gaps, has_ended = [], threading.Event()

    def stream():
        body = {"prompt": "a", "max_tokens": 300, "ignore_eos": True, "stream": True}
        with httpx.stream("POST", f"{served.url}/v1/completions", json=body, timeout=30) as answer:
            last = time.monotonic()
            for _ in answer.iter_raw():
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
        has_ended.set()

    reader = threading.Thread(target=stream, daemon=True)
    reader.start()
    assert stack.eventually(lambda: len(gaps) > 5, 10)
    started_at = time.monotonic()
    answer = post(served, *chat(messages=[{"role": "user", "content": "a" * 1_000_000}]))
    assert answer.status_code == 400
    assert time.monotonic() - started_at < 1
    assert has_ended.wait(30)
    assert max(gaps[5:]) < 1


def test_what_cannot_fit_the_kv_cache_is_never_queued(bin_dir, tiny_model):
    """58"""
    # 512 bytes a token: 2 layers, keys and values of 2 heads of 16 floats.
    with stack.Served(bin_dir, tiny_model, ["--dtype", "float32", "--kv-cache-memory-bytes",
                                            str(512 * 512)]) as served:
        answer = post(served, *completion(prompt="a", max_tokens=2000))
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["code"] == "context_length_exceeded"
        assert served.metric("scheduler", "weft_scheduler_requests_waiting") == 0
        assert post(served, *completion(max_tokens=100)).status_code == 200


def test_after_all_this_a_client_is_served(served, client):
    assert client.completions.create(model=served.served_name, prompt="a", max_tokens=2)
    for tier, pid in served.pids().items():
        assert stack.is_running(pid), tier
    assert "worker ended" not in served.log()
