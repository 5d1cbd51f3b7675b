"""Many streams at once say what each says alone."""

import asyncio

import httpx
import sse

NUM_STREAMS = 64
NAMES = ["Tom", "Anna", "Mia", "Ben", "Lea", "Paul", "Eva", "Max"]


def body(number):
    """Prompts of different lengths, some with a common beginning."""
    question = f"{NAMES[number % 8]} has {number + 3} apples"
    question += ", buys 2 more" * (number % 5) + " and eats 1. How many are left?"
    return {"messages": [{"role": "user", "content": question}], "temperature": 0,
            "max_tokens": 24 + number % 17, "stream": True,
            "stream_options": {"include_usage": True}}


async def ask(client, url, number):
    answer = await client.post(f"{url}/v1/chat/completions", json=body(number))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    stream = sse.read(answer.text)
    [choice] = stream.choices.values()
    return choice.reasoning, choice.content, choice.finish_reason, stream.usage["completion_tokens"]


def test_64_concurrent_streams_equal_the_same_requests_alone(served):
    async def run():
        limits = httpx.Limits(max_connections=NUM_STREAMS)
        async with httpx.AsyncClient(timeout=100, limits=limits) as client:
            together = await asyncio.gather(
                *(ask(client, served.url, number) for number in range(NUM_STREAMS)))
            alone = [await ask(client, served.url, number) for number in range(NUM_STREAMS)]
        return together, alone

    together, alone = asyncio.run(run())
    assert together == alone
    assert all(tokens > 0 for *_, tokens in together)
