"""Structured output: whatever the model would like to say, it fits the grammar."""

import concurrent.futures
import json
import re

import httpx
import jsonschema
import openai
import pytest
from answer_schemas import SCHEMAS

QUESTION = [{"role": "user", "content": "Tom has 12 apples and eats 5. How many are left?"}]


def response_format(name):
    return {"type": "json_schema",
            "json_schema": {"name": name, "strict": True, "schema": SCHEMAS[name]}}


def ask(client, served, **options):
    options = {"messages": QUESTION, **options}
    return client.chat.completions.create(model=served.served_name, **options)


def expect_follows(client, served, name, seed):
    answer = ask(client, served, response_format=response_format(name), seed=seed, temperature=1)
    [choice] = answer.choices
    assert choice.finish_reason == "stop", (name, seed, choice)
    jsonschema.validate(json.loads(choice.message.content), SCHEMAS[name],
                        format_checker=jsonschema.FormatChecker())


def follow_all(served, answers_each):
    with served.client(timeout=600) as client, concurrent.futures.ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(expect_follows, client, served, name, seed)
                 for name in SCHEMAS for seed in range(answers_each)]
        for answer in asked:
            answer.result()


def test_every_answer_follows_its_schema(served):
    assert len(SCHEMAS) == 20
    follow_all(served, 2)


@pytest.mark.soak
def test_a_thousand_answers_follow_their_schemas(served):
    follow_all(served, 50)


def test_streamed_it_is_the_same(served, client):
    options = {"response_format": response_format("math_solution"), "seed": 7, "temperature": 0}
    whole = ask(client, served, **options).choices[0].message.content
    streamed = ask(client, served, stream=True, **options)
    assert whole == "".join(chunk.choices[0].delta.content or "" for chunk in streamed)


def test_it_holds_behind_the_reasoning(served, client):
    [choice] = ask(client, served, response_format={"type": "json_object"}).choices
    assert choice.message.reasoning_content
    assert isinstance(json.loads(choice.message.content), dict)


@pytest.mark.parametrize(("structured", "pattern"), [
    ({"regex": "[0-9]{3}-[0-9]{4}"}, "[0-9]{3}-[0-9]{4}"),
    ({"choice": ["left", "right", "不知道"]}, "left|right|不知道"),
    ({"grammar": 'start: sum\nsum: N ("+" N){1,5}\nN: /[0-9]{1,4}/\n'}, r"\d+(\+\d+)+"),
    ({"grammar": 'root ::= num ("+" num){1,5}\nnum ::= [0-9]{1,4}\n'}, r"\d+(\+\d+)+"),
    ({"json": {"type": "array", "items": {"type": "boolean"}, "maxItems": 5}}, r"\[[\s\S]*\]"),
])
def test_vllms_structured_outputs(served, client, structured, pattern):
    for seed in range(5):
        answer = ask(client, served, seed=seed, temperature=1,
                     extra_body={"structured_outputs": structured})
        assert re.fullmatch(pattern, answer.choices[0].message.content)
        completion = client.completions.create(
            model=served.served_name, prompt="The answer:", max_tokens=400, seed=seed,
            extra_body={"structured_outputs": structured})
        assert re.fullmatch(pattern, completion.choices[0].text)


@pytest.mark.parametrize(("fields", "word"), [
    ({"response_format": {"type": "json_schema"}}, "json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {
        "name": "a", "schema": {"type": "number", "minimum": 3, "maximum": 1}}}}, "nsatisfiable"),
    ({"response_format": {"type": "json_schema", "json_schema": {
        "name": "a", "schema": {"type": "string", "format": "sonnet"}}}}, "sonnet"),
    ({"response_format": {"type": "yaml"}}, "response_format"),
    ({"structured_outputs": {"regex": "(a"}}, "structured_outputs"),
    ({"structured_outputs": {"choice": []}}, "choice"),
    ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs"),
    ({"structured_outputs": {"grammar": "start: nothing"}}, "nothing"),
    ({"structured_outputs": {"grammar": "root ::= \"a"}}, "closing"),
    ({"structured_outputs": {"regex": "a{2}" + "b" * 70_000}}, "65536"),
    ({"response_format": {"type": "json_object"}, "min_tokens": 5}, "min_tokens"),
])
def test_what_cannot_be_followed_is_a_400_with_the_reason(served, fields, word):
    body = {"model": served.served_name, "messages": QUESTION, **fields}
    refused = httpx.post(f"{served.url}/v1/chat/completions", json=body)
    assert refused.status_code == 400, refused.text
    assert word in refused.json()["error"]["message"]


def test_neighbours_say_what_they_say_alone(served, client):
    alone = ask(client, served, temperature=0).choices[0].message.content
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        free = [pool.submit(ask, client, served, temperature=0) for _ in range(4)]
        bound = [pool.submit(expect_follows, client, served, name, 3) for name in list(SCHEMAS)[:8]]
        assert {answer.result().choices[0].message.content for answer in free} == {alone}
        for answer in bound:
            answer.result()


def test_cut_off_by_its_length_it_says_so(served, client):
    [choice] = ask(client, served, response_format=response_format("invoice"), max_tokens=3).choices
    assert choice.finish_reason == "length"


def test_a_schema_may_be_wrong_but_the_server_goes_on(served, client):
    with pytest.raises(openai.BadRequestError):
        ask(client, served, response_format={"type": "json_schema", "json_schema": {
            "name": "deep", "schema": json.loads('{"items":' * 100 + "{}" + "}" * 100),
            "extra": None, "strict": "yes"}})
    assert ask(client, served, temperature=0).choices[0].message.content
