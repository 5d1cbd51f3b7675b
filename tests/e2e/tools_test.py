"""Tools through the official client and in OpenAI's schemas. The demo models have not been
trained to call any; that a call comes is the grammar's doing."""

import json

import httpx
import openai
import pydantic
import pytest
import sse
import stack
import tiny_model as tiny
from openai_schema import expect_valid, expect_valid_events

QUESTION = "What is the weather in Ulm and in Bonn?"
PARAMETERS = {"type": "object", "additionalProperties": False, "required": ["place", "unit"],
              "properties": {"place": {"type": "string", "enum": ["Ulm", "Bonn"]},
                             "unit": {"type": "string", "enum": ["celsius", "kelvin"]}}}
WEATHER = {"name": "get_weather", "description": "The weather in a place.",
           "parameters": PARAMETERS, "strict": True}
ADD = {"name": "add", "parameters": {"type": "object", "additionalProperties": False,
                                     "properties": {"a": {"type": "integer", "enum": [1, 2]}},
                                     "required": ["a"]}}
TOOLS = [{"type": "function", "function": function} for function in (WEATHER, ADD)]
FLAT_TOOLS = [{"type": "function", "strict": None, **function} for function in (WEATHER, ADD)]
NAMED = {"type": "function", "function": {"name": "get_weather"}}
# What Qwen2.5's does, in short.
TEMPLATE = """{%- if tools %}{{ '<|im_start|>system\\n' }}{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{{ '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' }}
{%- if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}{{ '\\n<tool_call>\\n' }}
{{- call.function | tojson }}{{ '\\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


def ask(client, served, **options):
    options = {"messages": [{"role": "user", "content": QUESTION}], "tools": TOOLS,
               "temperature": 0, "max_tokens": 600, **options}
    return client.chat.completions.create(model=served.served_name, **options)


def expect_weather(name, arguments):
    assert name == "get_weather"
    assert set(json.loads(arguments)) == {"place", "unit"}
    assert json.loads(arguments)["place"] in ("Ulm", "Bonn")


def test_a_named_call_comes_whole_and_in_parts(client, served):
    whole = ask(client, served, tool_choice=NAMED).choices[0]
    [call] = whole.message.tool_calls
    expect_weather(call.function.name, call.function.arguments)
    assert call.type == "function" and call.id
    assert whole.message.content is None and whole.finish_reason == "tool_calls"
    chunks = list(ask(client, served, tool_choice=NAMED, stream=True))
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
    assert parts[0].id and parts[0].type == "function"
    assert parts[0].function.name == "get_weather"
    assert all(part.index == 0 and not part.id for part in parts[1:])
    assert len(parts) > 2, "it came at once"
    assert "".join(part.function.arguments or "" for part in parts) == call.function.arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_required_call_is_one_of_those_allowed(client, served):
    message = ask(client, served, tool_choice="required", parallel_tool_calls=False).choices[0].message
    assert [call.function.name for call in message.tool_calls] in (["add"], ["get_weather"])
    allowed = {"type": "allowed_tools", "allowed_tools": {
        "mode": "required", "tools": [{"type": "function", "function": {"name": "add"}}]}}
    message = ask(client, served, tool_choice=allowed, parallel_tool_calls=False).choices[0].message
    assert [call.function.name for call in message.tool_calls] == ["add"]


@pytest.fixture(scope="module")
def tool_model(tmp_path_factory, math_model):
    """A tiny one whose template writes tools, calls and results."""
    folder = tiny.write_tiny_model(tmp_path_factory.mktemp("models") / "tools", math_model)
    names = json.loads((folder / "tokenizer_config.json").read_text())
    names["chat_template"] = TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


def test_the_answer_to_a_call_goes_back(bin_dir, tool_model):
    with stack.Served(bin_dir, tool_model) as served, served.client() as client:
        options = {"max_tokens": 900}
        message = ask(client, served, tool_choice=NAMED, **options).choices[0].message
        history = [{"role": "user", "content": QUESTION}, message.model_dump(exclude_none=True),
                   {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Rain."}]
        prompts = [ask(client, served, messages=history[:length], max_tokens=1).usage.prompt_tokens
                   for length in (1, 2, 3)]
        assert prompts == sorted(set(prompts)), "something is not in the prompt"

        options = {"model": served.served_name, "tools": FLAT_TOOLS, "max_output_tokens": 900}
        first = client.responses.create(
            input=history[:1], tool_choice={"type": "function", "name": "get_weather"}, **options)
        items = [*history[:1], *(item.model_dump(exclude_none=True) for item in first.output)]
        [call] = [item for item in first.output if item.type == "function_call"]
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "Rain."})
        inputs = [client.responses.create(input=items[:length], **options).usage.input_tokens
                  for length in range(1, len(items) + 1)]
        assert inputs == sorted(set(inputs)), "something is not in the prompt"


def test_tools_are_seen_in_the_prompt_unless_there_is_no_choice(served):
    def count(**options):
        body = {"messages": [{"role": "user", "content": QUESTION}], **options}
        return httpx.post(f"{served.url}/tokenize", json=body).json()["count"]

    assert count(tools=TOOLS) > count(tools=TOOLS[:1]) > count()
    assert count(tools=TOOLS, tool_choice="none") == count()


def test_a_call_is_parsed_into_a_class(client, served):
    class Add(pydantic.BaseModel):
        a: int

    answer = client.chat.completions.parse(
        model=served.served_name, messages=[{"role": "user", "content": "1 + 1"}], temperature=0,
        tools=[openai.pydantic_function_tool(Add)], max_tokens=600,
        tool_choice={"type": "function", "function": {"name": "Add"}})
    [call] = answer.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Add)


def test_calls_in_responses(client, served):
    options = {"model": served.served_name, "input": QUESTION, "tools": FLAT_TOOLS,
               "tool_choice": {"type": "function", "name": "get_weather"}, "temperature": 0,
               "max_output_tokens": 600}
    whole = client.responses.create(**options)
    [call] = [item for item in whole.output if item.type == "function_call"]
    expect_weather(call.name, call.arguments)
    with client.responses.stream(**options) as stream:
        deltas = [event.delta for event in stream
                  if event.type == "response.function_call_arguments.delta"]
        [streamed] = [item for item in stream.get_final_response().output
                      if item.type == "function_call"]
    assert "".join(deltas) == streamed.arguments == call.arguments


@pytest.mark.parametrize("choice", ["auto", "required", NAMED], ids=str)
def test_chats_fit_the_schema(served, choice):
    body = {"messages": [{"role": "user", "content": QUESTION}], "tools": TOOLS,
            "tool_choice": choice, "parallel_tool_calls": False, "temperature": 0,
            "max_tokens": 300}
    url = f"{served.url}/v1/chat/completions"
    expect_valid("CreateChatCompletionResponse", httpx.post(url, json=body, timeout=60).json())
    stream = httpx.post(url, json={**body, "stream": True}, timeout=60).text
    for chunk in sse.frames(stream)[:-1]:
        expect_valid("CreateChatCompletionStreamResponse", json.loads(chunk))


@pytest.mark.parametrize("choice", ["auto", {"type": "function", "name": "get_weather"}], ids=str)
def test_responses_fit_the_schema(served, choice):
    body = {"input": QUESTION, "tools": FLAT_TOOLS, "tool_choice": choice, "temperature": 0,
            "max_output_tokens": 300}
    url = f"{served.url}/v1/responses"
    expect_valid("Response", httpx.post(url, json=body, timeout=60).json())
    events = expect_valid_events(httpx.post(url, json={**body, "stream": True}, timeout=60).text)
    calls = [event["type"] for event in events if "function_call_arguments" in event["type"]]
    assert choice == "auto" or calls[-1] == "response.function_call_arguments.done"


@pytest.mark.parametrize("options, param", [
    ({"tool_choice": {"type": "function", "function": {"name": "nobody"}}}, "tool_choice"),
    ({"tools": None, "tool_choice": "required"}, "tool_choice"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools"),
    ({"tools": [TOOLS[0], TOOLS[0]]}, "tools"),
    ({"tools": [{"type": "web_search"}]}, "tools[0]"),
    ({"tool_choice": "required", "response_format": {"type": "json_object"}}, "response_format"),
], ids=str)
def test_what_cannot_be_is_refused_by_name(client, served, options, param):
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, served, **options)
    assert error.value.param.startswith(param)
