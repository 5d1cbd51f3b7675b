"""The names of metrics, as the sources write them and as queries use them."""

import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIERS = ("common", "gateway", "scheduler", "worker")


@functools.cache
def in_sources():
    """Every string literal of the three tiers that is a metric's name."""
    found = set()
    for tier in TIERS:
        for path in (ROOT / tier).glob("**/*.cc"):
            if not path.name.endswith("_test.cc"):
                found |= set(re.findall(r'"((?:weft|process)_\w+)"', path.read_text()))
    return found


def in_query(expr):
    """Without what a histogram appends."""
    return {re.sub(r"_(bucket|sum|count)$", "", name)
            for name in re.findall(r"\b(?:weft|process|DCGM_FI)_\w+", expr)}
