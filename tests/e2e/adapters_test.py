"""The bodies that other makers' adapters, benchmarks and evaluation harnesses send, and
what each of them then looks for in the answer."""

import concurrent.futures
import json
import math

import httpx
import pytest

QUESTION = "What is 17 + 25?"
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather in a place.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}},
                   "required": ["place"]}}}


@pytest.fixture
def post(served):
    with httpx.Client(base_url=served.url, timeout=60,
                      headers={"Authorization": "Bearer EMPTY"}) as client:
        def send(path, headers=None, **body):
            answer = client.post(path, json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            return answer
        yield send


def data(answer):
    """As the benchmarks read it: split at empty lines, `data: ` taken off."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    messages = [message for message in answer.text.split("\n\n") if message]
    assert all(message.startswith("data: ") for message in messages)
    assert messages[-1] == "data: [DONE]"
    return [json.loads(message.removeprefix("data: ")) for message in messages[:-1]]


# ---- evaluation harnesses ----


def test_lm_eval_loglikelihoods(post, served):
    """local-completions: batches of token ids, echoed with logprobs; its client takes the
    continuation's from [context:-1]."""
    info = httpx.get(f"{served.url}/tokenizer_info").json()
    assert info["eos_token"] and info["chat_template"]
    prompts, lengths = [], []
    for context, continuation in (("17 + 25 =", " 42"), ("Tom has", " 12 apples")):
        ids = [post("/tokenize", prompt=text, add_special_tokens=False).json()["tokens"]
               for text in (context, continuation)]
        prompts.append(ids[0] + ids[1])
        lengths.append(len(ids[0]))
    answer = post("/v1/completions", model=served.served_name, prompt=prompts, temperature=0,
                  max_tokens=1, logprobs=1, seed=1234, echo=True).json()
    for choice, prompt, length in zip(sorted(answer["choices"], key=lambda c: c["index"]), prompts,
                                      lengths):
        own = choice["logprobs"]["token_logprobs"][length:-1]
        top = choice["logprobs"]["top_logprobs"][length:-1]
        assert len(own) == len(top) == len(prompt) - length
        assert math.isfinite(sum(own)) and all(max(t.values()) >= o for o, t in zip(own, top))


def test_lm_eval_generates_until(post, served):
    """Tasks end at as many strings as they like: HumanEval at these, and the eos."""
    until = ["\nclass", "\ndef", "\n#", "\nif", "\nprint", "<|endoftext|>"]
    answer = post("/v1/completions", prompt=[[5, 6, 7]], model=served.served_name, max_tokens=16,
                  temperature=0, stop=until, seed=1234).json()
    assert [choice["index"] for choice in answer["choices"]] == [0]
    chat = post("/v1/chat/completions", messages=[{"role": "user", "content": QUESTION}],
                model=served.served_name, max_tokens=256, temperature=0, stop=until[:4], seed=1234)
    assert isinstance(chat.json()["choices"][0]["message"]["content"], str)


def test_lm_eval_finds_the_tokenizer(post, served):
    """check_remote_tokenizer_support, as it asks before a run."""
    info = httpx.get(f"{served.url}/tokenizer_info").json()
    assert "eos_token" in info
    assert isinstance(post("/tokenize", prompt="test", add_special_tokens=False).json()["tokens"],
                      list)


# ---- benchmarks ----


def test_vllm_bench_serve_completions(post, served):
    chunks = data(post("/v1/completions", {"x-request-id": "bench-1"}, model=served.served_name,
                       prompt=QUESTION, repetition_penalty=1.0, max_tokens=8, logprobs=None,
                       stream=True, stream_options={"include_usage": True}, ignore_eos=True))
    assert all("text" in chunk["choices"][0] for chunk in chunks if chunk["choices"])
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks if not chunk["choices"]] == [8]


def test_vllm_bench_serve_chat(post, served):
    chunks = data(post("/v1/chat/completions", model=served.served_name,
                       messages=[{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
                       max_completion_tokens=8, stream=True,
                       stream_options={"include_usage": True}, ignore_eos=True, temperature=0.0))
    assert all("delta" in chunk["choices"][0] for chunk in chunks if chunk["choices"])
    assert chunks[-1]["usage"]["completion_tokens"] == 8 and not chunks[-1]["choices"]


def test_guidellm(post, served):
    assert httpx.get(f"{served.url}/health").status_code == 200
    assert httpx.get(f"{served.url}/v1/models").json()["data"][0]["id"] == served.served_name
    options = {"model": served.served_name, "stream": True, "stop": None, "ignore_eos": True,
               "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    text = data(post("/v1/completions", prompt=QUESTION, max_tokens=8, **options))
    chat = data(post("/v1/chat/completions", max_completion_tokens=8,
                     messages=[{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
                     **options))
    for chunks in (text, chat):
        assert all(chunk["usage"] for chunk in chunks)
        assert chunks[-1]["usage"]["completion_tokens"] == 8
        assert chunks[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] >= 0


def test_guidellm_responses(post, served):
    answer = post("/v1/responses", model=served.served_name, stream=True, max_output_tokens=8,
                  ignore_eos=True,
                  input=[{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}])
    types = [line.removeprefix("event: ") for line in answer.text.splitlines()
             if line.startswith("event: ")]
    assert types[-1] == "response.incomplete"


def test_aiperf(post, served):
    """Takes choices[0] of every chunk that has any, and the first text for the TTFT."""
    body = {"messages": [{"role": "user", "content": QUESTION}], "model": served.served_name,
            "stream": True, "max_completion_tokens": 8, "ignore_eos": True, "min_tokens": 8}
    for options in ({}, {"stream_options": {"include_usage": True}}):
        chunks = data(post("/v1/chat/completions", **body, **options))
        assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
        assert all(chunk["choices"] for chunk in chunks) == (not options)
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
        assert any(delta.get("content") or delta.get("reasoning_content") for delta in deltas)
    answer = post("/v1/responses", input=[{"role": "user", "type": "message", "content": QUESTION}],
                  model=served.served_name, stream=False, max_output_tokens=8,
                  instructions="Be brief.")
    assert answer.json()["usage"]["output_tokens"] == 8


# ---- adapters ----


def test_langchain(post, served):
    """ChatOpenAI: stream_usage, and with_structured_output as a strict schema."""
    body = {"messages": [{"content": "You are brief.", "role": "system"},
                         {"content": QUESTION, "role": "user"}],
            "model": served.served_name, "temperature": 0.0, "n": 1}
    answer = post("/v1/chat/completions", max_completion_tokens=64, stream=False, **body).json()
    assert answer["choices"][0]["finish_reason"] in ("stop", "length")
    assert answer["usage"]["prompt_tokens_details"].keys() >= {"cached_tokens"}
    chunks = data(post("/v1/chat/completions", stream=True, stream_options={"include_usage": True},
                       **body))
    assert chunks[-1]["usage"]["total_tokens"] > 0
    schema = {"type": "object", "title": "Sum", "description": "A sum.",
              "properties": {"sum": {"type": "integer", "title": "Sum"}}, "required": ["sum"],
              "additionalProperties": False}
    answer = post("/v1/chat/completions", parallel_tool_calls=False, stream=False, response_format={
        "type": "json_schema",
        "json_schema": {"name": "Sum", "description": "A sum.", "strict": True, "schema": schema}},
        **body).json()
    assert isinstance(json.loads(answer["choices"][0]["message"]["content"])["sum"], int)


def test_litellm(post, served):
    """hosted_vllm/: drops what is not asked for, and passes its own fields on."""
    answer = post("/v1/chat/completions", model=served.served_name, stream=False,
                  messages=[{"role": "user", "content": QUESTION}], max_tokens=16, top_k=20,
                  reasoning_effort="low", user="litellm",
                  metadata={"user_api_key_alias": "a"}).json()
    assert answer["choices"][0]["message"]["reasoning_content"]


def test_open_webui(post, served):
    """Its chat, and the title that it asks for behind it."""
    body = {"model": served.served_name, "messages": [{"role": "user", "content": QUESTION}]}
    chunks = data(post("/v1/chat/completions", stream=True, temperature=0.8, top_p=0.9, top_k=40,
                       min_p=0.05, seed=42, max_tokens=64, frequency_penalty=1.1,
                       presence_penalty=0, stop=["</s>"],
                       stream_options={"include_usage": True}, **body))
    assert any(chunk["choices"][0]["delta"].get("reasoning_content") for chunk in chunks
               if chunk["choices"])
    title = post("/v1/chat/completions", stream=False, max_completion_tokens=32, **body).json()
    assert title["choices"][0]["message"]["role"] == "assistant"


def test_llama_cpps_clients(post, served):
    """Its server takes a grammar or a schema beside the messages."""
    body = {"messages": [{"role": "user", "content": QUESTION}], "cache_prompt": True,
            "temperature": 0, "max_tokens": 400}
    answer = post("/v1/chat/completions", grammar='root ::= "yes" | "no"', **body).json()
    assert answer["choices"][0]["message"]["content"] in ("yes", "no")
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"],
              "additionalProperties": False}
    for options in ({"json_schema": schema},
                    {"response_format": {"type": "json_object", "schema": schema}}):
        answer = post("/v1/chat/completions", **options, **body).json()
        assert isinstance(json.loads(answer["choices"][0]["message"]["content"])["sum"], int)


def test_codex(post, served):
    """Keeps its own history: a turn of reasoning, a call, what came of it."""
    answer = post(
        "/v1/responses", {"Accept": "text/event-stream"}, model=served.served_name,
        instructions="You are a coding agent.", tool_choice="auto", parallel_tool_calls=False,
        reasoning={"effort": "low", "summary": "auto"}, store=False, stream=True,
        include=["reasoning.encrypted_content"], prompt_cache_key="0199", max_output_tokens=8,
        tools=[{"type": "function", "strict": False, **WEATHER["function"]}],
        input=[{"type": "message", "role": "user",
                "content": [{"type": "input_text", "text": "The weather in Ulm?"}]},
               {"type": "reasoning", "summary": [], "encrypted_content": None,
                "content": [{"type": "reasoning_text", "text": "I look it up."}]},
               {"type": "function_call", "name": "get_weather", "call_id": "call_1",
                "arguments": '{"place":"Ulm"}'},
               {"type": "function_call_output", "call_id": "call_1", "output": "Rain."}])
    assert "event: response.created\n" in answer.text


def test_many_at_once_over_kept_connections(served):
    """As every harness does with a pool of connections."""
    with httpx.Client(base_url=served.url, timeout=60) as client, \
            concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: client.post("/v1/completions", json={
            "model": served.served_name, "prompt": f"{n} + 1 =", "max_tokens": 4}), range(64)))
    assert {answer.status_code for answer in answers} == {200}
