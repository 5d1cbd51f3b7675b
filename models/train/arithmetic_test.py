"""Written arithmetic must be right in every line, not only in the last one."""

import random
import re

import pytest

import arithmetic

# "a op b = c", but not "a × b = a × 10 + …", which is only a split.
CLAIM = re.compile(r"((?:\d+ [-+×÷] )+\d+) = (-?\d+)(?!\d| ×)(?: remainder (\d+))?")


def check_claims(text):
    """Recomputes every "a op b … = c" in the text; returns how many there are."""
    claims = CLAIM.findall(text)
    for left, result, rest in claims:
        if "÷" in left:
            a, b = map(int, left.split(" ÷ "))
            assert (a // b, a % b) == (int(result), int(rest or 0)), text
        else:
            assert eval(left.replace("×", "*")) == int(result), text
    return len(claims)


def operands(rng, op):
    if op in "÷%":
        b = rng.randint(2, 12)
        a = rng.randint(0, 99999)
        return (a - a % b, b) if op == "÷" else (a, b)
    return rng.randint(0, 9999), rng.randint(0, 999)


@pytest.mark.parametrize("op", ["+", "-", "×", "÷", "%"])
def test_every_line_is_right(op):
    for seed in range(2000):
        rng = random.Random(f"replay with {seed}")
        a, b = operands(rng, op)
        if op == "×" and not (a and b):
            continue
        text = arithmetic.work(a, op, b)
        assert check_claims(text) > 0, (a, op, b, text)


def test_work_ends_in_the_result():
    assert arithmetic.work(347, "+", 286).endswith("so 347 + 286 = 633")
    assert arithmetic.work(503, "-", 287).endswith("so 503 - 287 = 216")
    assert arithmetic.work(23, "×", 47).endswith("so 23 × 47 = 1081")
    assert arithmetic.work(282, "÷", 6).endswith("so 282 ÷ 6 = 47")
    assert arithmetic.work(17, "%", 5) == "17 ÷ 5 = 3 remainder 2"


def test_a_smaller_number_minus_a_larger_one_is_negative():
    assert arithmetic.work(5, "-", 12) == "12 - 5 = 7, so 5 - 12 = -7"


def test_carry_and_borrow_are_named():
    text = arithmetic.work(347, "+", 286)
    assert "ones 7 + 6 = 13 carry 1, tens 4 + 8 + 1 = 13 carry 1" in text
    assert "tens 10 - 8 - 1 = 1 borrow 1" in arithmetic.work(503, "-", 287)


def test_uneven_division_is_refused():
    with pytest.raises(AssertionError):
        arithmetic.value(7, "÷", 2)
