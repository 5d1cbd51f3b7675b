"""The log probability of each prompt token: vLLM's prompt_logprobs, and OpenAI's echo.

The reference is the model's own output: a token must be as likely in a prompt as it
was when it was generated behind the same tokens.
"""

import concurrent.futures
import os
import signal

import grpc
import httpx
import openai
import pytest
import stack
from grpc_test import Service

QUESTION = [{"role": "user", "content": "Tom has 12 apples, buys 7 and eats 5. How many are left?"}]
# Rounding: the same products, in batches of other sizes.
CLOSE = pytest.approx


def complete(served, **fields):
    answer = httpx.post(f"{served.url}/v1/completions", json={"max_tokens": 1, **fields},
                        timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tokenize(served, text):
    return httpx.post(f"{served.url}/tokenize", json={"prompt": text}).json()["tokens"]


def own(prompt, logprobs):
    """Of each prompt token but the first, its own entry."""
    assert len(logprobs) == len(prompt) and logprobs[0] is None
    return [entry[str(token)] for token, entry in zip(prompt[1:], logprobs[1:])]


def values(entries):
    return [entry["logprob"] for entry in entries]


@pytest.fixture(scope="module")
def small_steps(bin_dir, demo_model):
    """Prompts of more than 64 tokens take several steps, logits 16 rows at a time."""
    with stack.Served(bin_dir, demo_model, [
            "--dtype", "float32", "--max-num-batched-tokens", "64",
            "--max-num-seqs", "16"]) as served:
        yield served


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1.2, "seed": 5}])
def test_a_token_is_as_likely_in_a_prompt_as_it_was_when_it_was_generated(served, sampling):
    prompt = tokenize(served, "17 + 25 = 42. Tom buys 12 apples and")
    with grpc.insecure_channel(served.grpc_address) as channel:  # it tells ids
        made = Service(channel).method("Complete")(
            tokens={"ids": prompt},
            options={"max_tokens": 40, "logprobs": 3, "ignore_eos": True, **sampling})
    made = made.choices[0].logprobs
    assert len(made) == 40
    everything = prompt + [one.token.id for one in made]
    told = complete(served, prompt=everything, prompt_logprobs=3)["choices"][0]["prompt_logprobs"]
    entries = own(everything, told)[len(prompt) - 1:]
    assert values(entries) == CLOSE([one.token.logprob for one in made], abs=1e-3)
    if sampling["temperature"] == 0:
        assert {entry["rank"] for entry in entries} == {1}
    for entry, one in zip(told[len(prompt):], made):
        for rank, top in enumerate(one.top, start=1):
            assert entry[str(top.id)]["rank"] == rank
            assert entry[str(top.id)]["logprob"] == CLOSE(top.logprob, abs=1e-3)


def test_the_shape_is_vllms(served):
    prompt = tokenize(served, "1 + 1 = 2")
    answer = complete(served, prompt=[prompt, prompt[:2]], prompt_logprobs=2, n=1)
    for choice, tokens in zip(answer["choices"], [prompt, prompt[:2]]):
        logprobs = choice["prompt_logprobs"]
        assert len(logprobs) == len(tokens) and logprobs[0] is None
        for token, entry in zip(tokens[1:], logprobs[1:]):
            assert next(iter(entry)) == str(token)
            assert 2 <= len(entry) <= 3
            for one in entry.values():
                assert set(one) == {"logprob", "rank", "decoded_token"}
                assert one["logprob"] <= 0 and one["rank"] >= 1
    alone = complete(served, prompt=prompt, prompt_logprobs=0)["choices"][0]["prompt_logprobs"]
    assert all(len(entry) == 1 for entry in alone[1:])
    assert "prompt_logprobs" not in complete(served, prompt=prompt)["choices"][0]
    one_token = complete(served, prompt=prompt[:1], prompt_logprobs=2)
    assert one_token["choices"][0]["prompt_logprobs"] == [None]


def test_in_chat_they_stand_beside_the_choices(served, client):
    answer = client.chat.completions.create(
        model=served.served_name, messages=QUESTION, max_tokens=2, n=2, temperature=1,
        extra_body={"prompt_logprobs": 1})
    logprobs = answer.prompt_logprobs
    assert len(logprobs) == answer.usage.prompt_tokens
    assert logprobs[0] is None and all(entry for entry in logprobs[1:])
    text = "".join(next(iter(entry.values()))["decoded_token"] for entry in logprobs[1:])
    assert QUESTION[0]["content"] in text
    assert len(answer.choices) == 2


def test_a_cached_prompt_is_computed_whole_and_gives_the_same(served):
    text = "Tom buys apples. " * 20
    prompt = tokenize(served, text)
    options = {"prompt": prompt, "prompt_logprobs": 2, "temperature": 0}
    cold = complete(served, **options)
    assert complete(served, prompt=prompt, temperature=0)["usage"]["prompt_tokens_details"][
        "cached_tokens"] > 0
    warm = complete(served, **options)
    assert warm["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert warm["choices"][0]["prompt_logprobs"] == cold["choices"][0]["prompt_logprobs"]
    assert warm["choices"][0]["text"] == cold["choices"][0]["text"]


def test_penalties_and_bias_do_not_touch_them(served):
    prompt = tokenize(served, "7 7 7 7 7 + 1")
    plain, bent = (complete(served, prompt=prompt, prompt_logprobs=1, **extra)["choices"][0]
                   for extra in ({}, {"repetition_penalty": 2, "logit_bias": {"5": 100}}))
    assert values(own(prompt, plain["prompt_logprobs"])) == CLOSE(
        values(own(prompt, bent["prompt_logprobs"])), abs=1e-5)


def test_a_prompt_of_several_steps_gives_the_same(served, small_steps):
    prompt = tokenize(served, "Tom has 12 apples, buys 7 and eats 5. " * 12)
    assert len(prompt) > 128
    options = {"prompt": prompt, "prompt_logprobs": 3, "temperature": 0, "max_tokens": 8}
    whole = complete(served, **options)["choices"][0]
    parts = complete(small_steps, **options)["choices"][0]
    assert parts["text"] == whole["text"]
    assert values(own(prompt, parts["prompt_logprobs"])) == CLOSE(
        values(own(prompt, whole["prompt_logprobs"])), abs=1e-3)
    small_steps.expect_rest()


def test_echo_puts_the_prompts_logprobs_before_the_outputs(served, client):
    text = "Tom has 12 äpfel, buys 7 and"
    options = {"model": served.served_name, "prompt": text, "max_tokens": 6, "temperature": 0,
               "logprobs": 2}
    prompt = tokenize(served, text)
    echoed = client.completions.create(echo=True, **options).choices[0]
    plain = client.completions.create(**options).choices[0]
    told = complete(served, prompt=prompt, prompt_logprobs=2)["choices"][0]["prompt_logprobs"]

    logprobs = echoed.logprobs
    num_all = len(prompt) + len(plain.logprobs.tokens)
    assert echoed.text == text + plain.text
    assert [len(part) for part in (logprobs.tokens, logprobs.token_logprobs,
                                   logprobs.top_logprobs, logprobs.text_offset)] == [num_all] * 4
    assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
    assert logprobs.token_logprobs[1:len(prompt)] == CLOSE(values(own(prompt, told)), abs=1e-5)
    assert logprobs.token_logprobs[len(prompt):] == CLOSE(plain.logprobs.token_logprobs, abs=1e-3)
    assert logprobs.tokens[len(prompt):] == plain.logprobs.tokens
    assert logprobs.text_offset[0] == 0
    assert logprobs.text_offset[len(prompt)] == len(text)
    # What the tokenizer puts before the text is no part of it.
    assert logprobs.text_offset[1] == 0
    for offset, token in zip(logprobs.text_offset[1:], logprobs.tokens[1:]):
        if "\ufffd" not in token:
            assert echoed.text[offset:].startswith(token)
    for top, token, logprob in zip(logprobs.top_logprobs[1:], logprobs.tokens[1:],
                                   logprobs.token_logprobs[1:]):
        assert top[token] == logprob and 2 <= len(top) <= 3


def ask_all(served, bodies):
    """The answers' choices, asked for at once."""
    with concurrent.futures.ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(lambda body: complete(served, **body), bodies))
    return [answer["choices"][0] for answer in answers]


def expect_same(choices, expected):
    for choice, alone in zip(choices, expected):
        assert choice["text"] == alone["text"]
        mine, theirs = choice["prompt_logprobs"], alone["prompt_logprobs"]
        assert len(mine) == len(theirs) and mine[0] is None
        for entry, other in zip(mine[1:], theirs[1:]):
            assert next(iter(entry)) == next(iter(other))
            assert values(entry.values()) == CLOSE(values(other.values()), abs=1e-3)


def long_bodies(served, count, max_tokens):
    return [{"prompt": tokenize(served, f"Number {number} goes on and on: " * 20),
             "prompt_logprobs": 1, "max_tokens": max_tokens, "temperature": 0,
             "ignore_eos": True} for number in range(count)]


def test_they_survive_preemption_and_the_loss_of_a_worker(bin_dir, tiny_model):
    flags = ["--dtype", "float32", "--max-num-batched-tokens", "64", "--max-num-seqs", "16"]
    with stack.Served(bin_dir, tiny_model, flags) as served:
        bodies = long_bodies(served, 8, 300)
        expected = [complete(served, **body)["choices"][0] for body in bodies]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            choices = pool.submit(ask_all, served, bodies)
            assert stack.eventually(lambda: served.blocks("used") > 0, 10)
            os.kill(served.pids()["worker"], signal.SIGKILL)
            expect_same(choices.result(60), expected)
    # 512 bytes a token: 60 blocks, of which all together would need some 250.
    with stack.Served(bin_dir, tiny_model, [
            *flags, "--kv-cache-memory-bytes", str(60 * 16 * 512)]) as served:
        served.remember_baseline()
        expect_same(ask_all(served, bodies), expected)
        assert served.metric("scheduler", "weft_scheduler_preemptions_total") > 0
        served.expect_idle()


def test_what_cannot_be_is_refused_by_name(client, served):
    prompt = {"model": served.served_name, "prompt": "1"}
    for extra in ({"prompt_logprobs": 1, "stream": True}, {"prompt_logprobs": -1},
                  {"prompt_logprobs": 21}):
        answer = httpx.post(f"{served.url}/v1/completions", json={**prompt, **extra})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "prompt_logprobs"
    with pytest.raises(openai.BadRequestError) as error:
        client.completions.create(echo=True, logprobs=1, stream=True, **prompt)
    assert error.value.param == "echo"
