"""OpenAI's published schemas, where they are at hand: whatever is answered must fit."""

import functools
import json
import os
import pathlib

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@functools.cache
def document():
    data = pathlib.Path(os.environ.get("WEFT_TEST_DATA", ROOT.parent / "shared"))
    path = data / "specs" / "openai-schemas.json"
    if not path.exists():
        pytest.skip(f"no OpenAI schemas in {data} (WEFT_TEST_DATA)")
    return json.loads(path.read_text())


@functools.cache
def validator(name):
    components = document()["components"]
    assert name in components["schemas"], f"OpenAI has no {name}"
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": components})


def expect_valid(name, value):
    """AssertionError with the place and the deepest reason."""
    error = jsonschema.exceptions.best_match(validator(name).iter_errors(value))
    assert error is None, f"{name}: {error.json_path}: {error.message[:500]}\n{str(value)[:1000]}"


def events(text):
    """The (type, data) of a response's event stream; AssertionError if it is none."""
    assert text.endswith("\n\n")
    seen = []
    for frame in text[:-2].split("\n\n"):
        kind, data = frame.split("\n")
        assert kind.startswith("event: ") and data.startswith("data: ")
        event = json.loads(data.removeprefix("data: "))
        assert event["type"] == kind.removeprefix("event: ")
        assert event["sequence_number"] == len(seen)
        seen.append(event)
    return seen


def expect_valid_events(text):
    """Every event of a response's stream; returns them."""
    seen = events(text)
    for event in seen:
        expect_valid(document()["events"][event["type"]], event)
    return seen
