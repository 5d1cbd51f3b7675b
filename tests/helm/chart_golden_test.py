"""What the examples make, to the letter: a change of the chart shows in golden/*.yaml, to be read.

    WEFT_UPDATE_GOLDEN=1 pytest tests/helm/chart_golden_test.py    writes them anew
"""

import os
import pathlib

import pytest
import yaml
from rendering import EXAMPLES, render_text

GOLDEN = pathlib.Path(__file__).parent / "golden"
# What is the project's own word for word has its own tests.
ELSEWHERE = ("monitoring/rules.yaml", "monitoring/dashboards.yaml")


def golden(text):
    documents = text.split("---\n# Source: weft/templates/")[1:]
    kept = [d for d in documents if not d.startswith(ELSEWHERE)]
    return "".join(f"---\n# Source: weft/templates/{d}" for d in kept)


@pytest.mark.parametrize("path", EXAMPLES, ids=[p.stem for p in EXAMPLES])
def test_examples_render_as_ever(path):
    rendered = golden(render_text(yaml.safe_load(path.read_text()), version="1.34.0"))
    file = GOLDEN / path.name
    if os.environ.get("WEFT_UPDATE_GOLDEN"):
        file.write_text(rendered)
    assert rendered == file.read_text(), "read the difference; WEFT_UPDATE_GOLDEN=1 takes it over"


def test_there_is_nothing_else():
    assert sorted(p.name for p in GOLDEN.iterdir()) == sorted(p.name for p in EXAMPLES)
