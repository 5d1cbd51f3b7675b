"""Server-sent events read strictly: what a lenient client would forgive fails here."""

import dataclasses
import json


@dataclasses.dataclass
class Choice:
    content: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    logprobs: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Stream:
    id: str
    choices: dict
    usage: dict | None
    error: dict | None


def frames(text):
    """The payloads of `data: ...` frames. Anything else, comments apart, is malformed."""
    assert text.endswith("\n\n"), f"cut off: {text[-80:]!r}"
    payloads = []
    for frame in text[:-2].split("\n\n"):
        assert "\n" not in frame and "\r" not in frame, f"not one line: {frame!r}"
        if frame.startswith(":"):
            continue
        assert frame.startswith("data: "), f"not a data frame: {frame!r}"
        payloads.append(frame.removeprefix("data: "))
    return payloads


def read(text):
    """One whole stream of chat or text completion chunks, checked for I4: one id, one
    end per choice and nothing behind it, one [DONE] and that last."""
    payloads = frames(text)
    assert payloads and payloads[-1] == "[DONE]", f"no [DONE]: {payloads[-1:]}"
    assert payloads.count("[DONE]") == 1
    chunks = [json.loads(payload) for payload in payloads[:-1]]
    stream = Stream(id="", choices={}, usage=None, error=None)
    for position, chunk in enumerate(chunks):
        assert stream.error is None, "something behind the error"
        if "error" in chunk:
            stream.error = chunk["error"]
            continue
        assert stream.usage is None or not chunk["choices"], "text behind the usage"
        stream.id = stream.id or chunk["id"]
        assert chunk["id"] == stream.id
        if chunk.get("usage") and not chunk["choices"]:
            assert stream.usage is None, "usage twice"
            stream.usage = chunk["usage"]
        for part in chunk["choices"]:
            is_new = part["index"] not in stream.choices
            choice = stream.choices.setdefault(part["index"], Choice())
            assert choice.finish_reason is None, "something behind the end"
            if "delta" in part:
                delta = part["delta"]
                assert is_new == ("role" in delta), f"role in chunk {position}: {delta}"
                choice.content += delta.get("content") or ""
                choice.reasoning += delta.get("reasoning_content") or ""
                assert delta.get("reasoning_content") == delta.get("reasoning")
                choice.logprobs += (part.get("logprobs") or {}).get("content") or []
            else:
                choice.content += part["text"]
                choice.logprobs += (part.get("logprobs") or {}).get("token_logprobs") or []
            choice.finish_reason = part["finish_reason"]
    if stream.error is None:
        assert stream.choices
        assert all(choice.finish_reason for choice in stream.choices.values()), "a choice goes on"
    return stream
