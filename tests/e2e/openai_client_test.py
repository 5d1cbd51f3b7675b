"""The official Python client, streaming and not."""

import asyncio
import enum
import threading
import time

import httpx
import openai
import pydantic
import pytest
import stack

QUESTION = [{"role": "user", "content": "Tom has 12 apples, buys 7 and eats 5. How many are left?"}]
GREEDY = {"temperature": 0, "max_tokens": 160}


def chat(client, model, **options):
    return client.chat.completions.create(model=model, messages=QUESTION, **options)


def test_a_chat_is_answered_with_reasoning_apart(client, served):
    answer = chat(client, served.served_name, **GREEDY)
    choice = answer.choices[0]
    assert answer.object == "chat.completion"
    assert answer.model == served.served_name
    assert choice.message.role == "assistant"
    assert choice.message.reasoning_content
    assert choice.message.reasoning == choice.message.reasoning_content
    assert "think>" not in choice.message.reasoning_content + (choice.message.content or "")
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.completion_tokens_details.reasoning_tokens <= usage.completion_tokens


def test_a_streamed_chat_is_the_same_text_in_parts(client, served):
    whole = chat(client, served.served_name, **GREEDY)
    chunks = list(chat(client, served.served_name, stream=True, **GREEDY,
                       stream_options={"include_usage": True}))
    *parts, last = chunks
    assert last.choices == [] and last.usage.model_dump(exclude={"prompt_tokens_details"}) \
        == whole.usage.model_dump(exclude={"prompt_tokens_details"})
    assert parts[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    deltas = [chunk.choices[0].delta for chunk in parts]
    assert "".join(delta.content or "" for delta in deltas) == (whole.choices[0].message.content
                                                                or "")
    reasoning = [getattr(delta, "reasoning_content", None) or "" for delta in deltas]
    assert "".join(reasoning) == whole.choices[0].message.reasoning_content
    assert len([text for text in reasoning if text]) > 3, "it came at once"
    ends = [chunk.choices[0].finish_reason for chunk in parts if chunk.choices[0].finish_reason]
    assert ends == [whole.choices[0].finish_reason]


def test_no_usage_chunk_unless_asked_for(client, served):
    for chunk in chat(client, served.served_name, stream=True, max_tokens=4):
        assert chunk.choices and chunk.usage is None


def test_a_completion_streamed_and_not_is_the_same(client, served):
    options = {"model": served.served_name, "prompt": "17 + 25 =", "temperature": 0,
               "max_tokens": 24}
    whole = client.completions.create(**options)
    parts = list(client.completions.create(stream=True, **options))
    assert whole.object == "text_completion"
    assert "".join(part.choices[0].text for part in parts) == whole.choices[0].text
    assert whole.usage.completion_tokens <= 24


def test_prompts_of_token_ids_and_of_text_are_the_same(client, served):
    text = "How many are left?"
    ids = httpx.post(f"{served.url}/tokenize", json={"prompt": text}).json()["tokens"]
    options = {"model": served.served_name, "temperature": 0, "max_tokens": 8}
    assert (client.completions.create(prompt=ids, **options).choices[0].text
            == client.completions.create(prompt=text, **options).choices[0].text)
    back = httpx.post(f"{served.url}/detokenize", json={"tokens": ids}).json()["prompt"]
    assert back.endswith(text)


def test_a_stop_string_ends_the_text_before_itself(client, served):
    options = {"model": served.served_name, "prompt": "17 + 25 =", "temperature": 0,
               "max_tokens": 40}
    whole = client.completions.create(**options).choices[0].text
    # Two characters from the middle: they may lie across two tokens.
    stop = whole[len(whole) // 2:len(whole) // 2 + 2]
    expected = whole[:whole.index(stop)]
    stopped = client.completions.create(stop=[stop], **options).choices[0]
    assert (stopped.text, stopped.finish_reason) == (expected, "stop")
    parts = client.completions.create(stop=[stop], stream=True, **options)
    assert "".join(part.choices[0].text for part in parts) == expected


def test_max_tokens_ends_with_length(client, served):
    answer = client.completions.create(model=served.served_name, prompt="1", max_tokens=3,
                                       extra_body={"ignore_eos": True})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3


def test_n_choices_are_numbered_and_differ(client, served):
    options = {"n": 4, "temperature": 1.5, "seed": 7, "max_tokens": 24}
    answer = chat(client, served.served_name, **options)
    texts = [choice.message.reasoning_content or choice.message.content
             for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert len(set(texts)) > 1
    streamed = {}
    for chunk in chat(client, served.served_name, stream=True, **options):
        for choice in chunk.choices:
            text = getattr(choice.delta, "reasoning_content", None) or choice.delta.content or ""
            streamed[choice.index] = streamed.get(choice.index, "") + text
    assert [streamed[index] for index in range(4)] == texts


def test_a_seed_repeats_the_draw_and_another_does_not(client, served):
    def draw(seed):
        return client.completions.create(model=served.served_name, prompt="Tom", seed=seed,
                                         temperature=1.5, max_tokens=24).choices[0].text

    assert draw(11) == draw(11)
    assert len({draw(seed) for seed in range(4)}) > 1


def test_logprobs_of_a_chat(client, served):
    answer = chat(client, served.served_name, logprobs=True, top_logprobs=3, **GREEDY)
    entries = answer.choices[0].logprobs.content
    # The token that ends the text is counted, and has no text to stand for.
    ends_itself = answer.choices[0].finish_reason == "stop"
    assert len(entries) == answer.usage.completion_tokens - ends_itself
    for entry in entries:
        assert len(entry.top_logprobs) == 3
        assert entry.logprob == entry.top_logprobs[0].logprob, "greedy takes the best"
        assert entry.logprob <= 0
        ranks = [top.logprob for top in entry.top_logprobs]
        assert ranks == sorted(ranks, reverse=True)
    spelled = b"".join(bytes(entry.bytes) for entry in entries).decode()
    assert (answer.choices[0].message.content or "") in spelled


def test_logprobs_of_a_completion(client, served):
    answer = client.completions.create(model=served.served_name, prompt="17 + 25 =", logprobs=2,
                                       temperature=0, max_tokens=8)
    logprobs = answer.choices[0].logprobs
    count = answer.usage.completion_tokens
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == count
    assert all(len(top) >= 2 for top in logprobs.top_logprobs)
    assert logprobs.text_offset == sorted(logprobs.text_offset)


def test_a_bias_of_100_decides(client, served):
    [token] = httpx.post(f"{served.url}/tokenize", json={
        "prompt": "7", "add_special_tokens": False}).json()["tokens"]
    answer = client.completions.create(model=served.served_name, prompt="1 + 1 =", max_tokens=4,
                                       temperature=0, logit_bias={str(token): 100})
    assert answer.choices[0].text == "7777"


def test_an_equal_beginning_comes_from_the_cache(client, served):
    prompt = "Tom buys apples. " * 20
    options = {"model": served.served_name, "prompt": prompt, "max_tokens": 4, "temperature": 0}
    first = client.completions.create(**options)
    second = client.completions.create(**options)
    assert second.usage.prompt_tokens_details.cached_tokens >= 16
    assert second.choices[0].text == first.choices[0].text


def test_models_are_listed(client, served):
    [model] = client.models.list().data
    assert model.id == served.served_name
    assert model.max_model_len > 0
    assert client.models.retrieve(served.served_name).id == served.served_name


def test_errors_are_the_clients_own(client, served):
    with pytest.raises(openai.NotFoundError):
        chat(client, "no-such-model")
    with pytest.raises(openai.BadRequestError) as error:
        chat(client, served.served_name, temperature=3)
    assert error.value.param == "temperature"
    assert "temperature" in error.value.message


def test_the_async_client_runs_many_at_once(served):
    async def ask(client, number):
        stream = await client.completions.create(
            model=served.served_name, prompt=f"{number} + 1 =", max_tokens=12, stream=True)
        return "".join([chunk.choices[0].text async for chunk in stream])

    async def run():
        async with served.async_client() as client:
            return await asyncio.gather(*(ask(client, number) for number in range(16)))

    assert len(asyncio.run(run())) == 16


def test_leaving_a_stream_early_is_well(client, served):
    with chat(client, served.served_name, stream=True, extra_body={"ignore_eos": True},
              max_tokens=400) as stream:
        next(iter(stream))
    # `served` checks that its blocks are free within a second.


# ---- parse helpers ----


class Unit(enum.Enum):
    APPLE = "apple"
    PEAR = "pear"


class Count(pydantic.BaseModel):
    number: int
    unit: Unit


class Counts(pydantic.BaseModel):
    counts: list[Count]


def test_a_chat_is_parsed_into_a_class(client, served):
    options = {"model": served.served_name, "messages": QUESTION, "response_format": Count,
               "temperature": 0, "max_tokens": 400}
    answer = client.chat.completions.parse(**options)
    assert answer.choices[0].finish_reason == "stop", answer
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Count) and isinstance(parsed.unit, Unit)
    with client.chat.completions.stream(**options) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        streamed = stream.get_final_completion().choices[0].message
    assert streamed.parsed == parsed
    assert "".join(deltas) == streamed.content


def test_a_json_object_is_asked_for(client, served):
    answer = chat(client, served.served_name, response_format={"type": "json_object"}, seed=3,
                  temperature=0.7, max_tokens=400, extra_body={"structured_outputs": None})
    content = answer.choices[0].message.content
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(pydantic.TypeAdapter(dict).validate_json(content), dict)
    else:
        assert content == "" or content.lstrip().startswith("{")


def test_vllms_constraints_go_in_extra_body(client, served):
    for constraint, fits in (({"choice": ["yes", "no"]}, lambda text: text in ("yes", "no")),
                             ({"regex": "[0-9]{3}"}, lambda text: text.isdigit() and len(text) == 3)):
        answer = client.completions.create(
            model=served.served_name, prompt="17 + 25 =", max_tokens=16, temperature=0,
            extra_body={"structured_outputs": constraint})
        assert fits(answer.choices[0].text), answer.choices[0].text
        assert answer.choices[0].finish_reason == "stop"


# ---- responses ----


def texts(response, kind):
    return "".join(part.text for item in response.output for part in item.content or []
                   if part.type == kind)


def test_a_response_streamed_and_not_is_the_same(client, served):
    options = {"model": served.served_name, "input": QUESTION[0]["content"], "temperature": 0,
               "max_output_tokens": 300, "instructions": "Answer briefly.",
               "metadata": {"who": "test"}}
    whole = client.responses.create(**options)
    assert whole.object == "response" and whole.model == served.served_name
    assert whole.metadata == {"who": "test"} and whole.instructions == "Answer briefly."
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    assert 0 < whole.usage.output_tokens_details.reasoning_tokens <= whole.usage.output_tokens
    assert texts(whole, "reasoning_text")
    assert whole.output_text == texts(whole, "output_text")
    with client.responses.stream(**options) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.output_text == whole.output_text
    assert texts(final, "reasoning_text") == texts(whole, "reasoning_text")
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    raw = list(client.responses.create(stream=True, **options))
    assert [event.type for event in raw][:2] == ["response.created", "response.in_progress"]
    assert raw[-1].type == "response.completed"


def test_a_response_goes_on_from_its_own_items(client, served):
    options = {"model": served.served_name, "temperature": 0, "max_output_tokens": 200}
    items = [{"role": "user", "content": "What is 17 + 25?"}]
    first = client.responses.create(input=items, **options)
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items += [{"role": "user", "content": "And 3 more?"}]
    second = client.responses.create(input=items, **options)
    assert second.usage.input_tokens > first.usage.input_tokens


def test_a_response_is_parsed_into_a_class(client, served):
    response = client.responses.parse(model=served.served_name, input=QUESTION[0]["content"],
                                      text_format=Count, temperature=0, max_output_tokens=400)
    assert response.status == "completed"
    assert isinstance(response.output_parsed, Count)


def test_a_response_that_is_cut_is_incomplete(client, served):
    response = client.responses.create(model=served.served_name, input="Hello",
                                       max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 3


def test_a_response_cannot_be_gone_back_to(client, served):
    response = client.responses.create(model=served.served_name, input="Hello", store=True,
                                       max_output_tokens=3)
    assert response.store is False
    for call in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError, match="stores no responses"):
            call(response.id)
    with pytest.raises(openai.BadRequestError) as error:
        client.responses.create(model=served.served_name, input="Hello",
                                previous_response_id=response.id)
    assert error.value.param == "previous_response_id"


def test_a_response_left_early_is_cancelled(client, served):
    stream = client.responses.create(model=served.served_name, input="Hello", stream=True,
                                     extra_body={"ignore_eos": True}, max_output_tokens=800)
    next(iter(stream))
    stream.close()
    # `served` checks that its blocks are free within a second.


# ---- retries ----


def waiting(served):
    return (served.metric("scheduler", "weft_scheduler_requests_running")
            + served.metric("scheduler", "weft_scheduler_requests_waiting"))


@pytest.mark.parametrize("flags, status", [
    (["--max-num-seqs", "1", "--max-waiting", "1"], 503),
    (["--max-tenant-requests", "2"], 429),
], ids=["503 the queue is full", "429 a tenant has its share"])
def test_a_client_that_is_turned_away_comes_back_by_itself(bin_dir, tiny_model, flags, status):
    flags = [*flags, "--backend", "simulated", "--simulated-gpu", "CPU", "--simulated-speed",
             "0.004"]
    options = {"prompt": "a", "extra_body": {"ignore_eos": True}}
    with stack.Served(bin_dir, tiny_model, flags) as served:
        options["model"] = served.served_name

        def occupy():
            with served.client() as client:
                client.completions.create(max_tokens=500, **options)

        threads = [threading.Thread(target=occupy, daemon=True) for _ in range(2)]
        # One after another: the queue has one place, which the first has to leave.
        for occupied, thread in enumerate(threads, start=1):
            thread.start()
            assert stack.eventually(
                lambda: served.metric("scheduler", "weft_scheduler_requests_running") > 0
                and waiting(served) == occupied, 10)
        time.sleep(stack.GAUGE_LAG_S)
        with served.client() as client, pytest.raises(openai.APIStatusError) as error:
            client.completions.create(max_tokens=1, **options)
        assert error.value.status_code == status
        assert int(error.value.response.headers["retry-after"]) >= 1
        with served.client(max_retries=20) as client:
            answer = client.completions.with_raw_response.create(max_tokens=1, **options)
        assert answer.retries_taken > 0
        assert answer.parse().usage.completion_tokens == 1
        for thread in threads:
            thread.join(60)
