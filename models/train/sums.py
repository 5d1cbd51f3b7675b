"""Bare arithmetic: "What is 347 + 286?", "12 + 7 * 3", "15% of 80", "12加7等于多少?"."""

from plan import Plan, Step, variant

ASK = ["What is {e}?", "{e}", "{e} = ?", "{e}=?", "[Calculate|Compute|Solve|Evaluate] {e}[.|]",
       "How much is {e}?", "What's {e}?", "[Can you tell me|Do you know] what {e} is?", "{e}?",
       "What does {e} [equal|give|make]?", "Find {e}."]
ASK_UNSEEN = ["Please work out {e} for me.", "Tell me the result of {e}."]

SIGNS = {"+": ["+"], "-": ["-"], "×": ["*", "×", "x"], "÷": ["/", "÷"]}


def _number(draw):
    return draw.rng.randint(*draw.pick(((1, 20), (10, 99), (100, 999), (1, 999))))


def _operands(draw, op):
    """Operands that `arithmetic.work` can handle: see there for division."""
    if op in "+-":
        return _number(draw), _number(draw)
    if op == "×":
        low, high = sorted((draw.pick((12, 99, 999)), draw.pick((12, 12, 99, 99, 999))))
        if draw.rng.random() < 0.8:
            low = min(low, 99)
        pair = [draw.rng.randint(2, low), draw.rng.randint(2, high)]
        draw.rng.shuffle(pair)
        return tuple(pair)
    divisor = draw.rng.randint(2, 12)
    return divisor * draw.rng.randint(1, draw.pick((12, 99, 999 // divisor))), divisor


def _expression(draw, terms):
    """[12, "+", 7] as typed: with or without spaces, with one of the signs in use."""
    gap = "" if draw.rng.random() < 0.25 else " "
    out = ""
    for term in terms:
        if term in SIGNS:
            sign = draw.pick(SIGNS[term])
            pad = " " if sign == "x" else gap
            out += f"{pad}{sign}{pad}"
        else:
            out += str(term)
    return out


def _plan(slots, steps):
    return Plan(slots, "", steps, "The result is {}.")


@variant("sum", ASK + ["[Please|Now] [compute|calculate|solve] {e}.",
          "[Work out|Give me|Tell me] {e}[.| please.]",
          "I need {e}.",
          "What do I get for {e}?",
          "The result of {e} is?",
          "[Could|Can] you [compute|calculate|solve|do] {e}?"], ASK_UNSEEN)
def one_operation(draw):
    op = draw.pick("+-×÷")
    a, b = _operands(draw, op)
    return _plan(dict(e=_expression(draw, [a, op, b])), [Step("", a, op, b)])


@variant("sum",
         ["What is {a} plus {b}?", "Add {a} and {b}.", "[What is|Find] the sum of {a} and {b}?",
          "[How much is|What's] {a} plus {b}?", "{a} plus {b}", "{a}加{b}等于多少?", "{a}加{b}是多少？",
          "What [do you get|is it] if you add {b} to {a}?",
          "[Can|Could] you add {a} [and|to] {b}[| for me| please]?",
          "[Please add|Add up|Put together] {a} and {b}.",
          "{a} and {b} make what?",
          "{a} added to {b}",
          "What number is {b} more than {a}?"],
         ["Could you add up {a} and {b}?"])
def plus(draw):
    a, b = _operands(draw, "+")
    return _plan(dict(a=a, b=b), [Step("", a, "+", b)])


@variant("sum",
         ["What is {a} minus {b}?", "Subtract {b} from {a}.", "[How much is|What's] {a} minus {b}?",
          "[What is|Find] the difference [between|of] {a} and {b}?", "{a} minus {b}",
          "Take {b} away from {a}.", "{a}减{b}等于多少?", "{a}减{b}是多少？",
          "[Can|Could] you [subtract {b} from {a}|take {b} from {a}][| for me]?",
          "What is left of {a} [without|minus] {b}?",
          "What remains if I take {b} from {a}?",
          "{a} less {b}",
          "What number is {b} less than {a}?"],
         ["What remains of {a} when you take away {b}?"])
def minus(draw):
    b, a = sorted(_operands(draw, "-"))
    return _plan(dict(a=a, b=b), [Step("", a, "-", b)])


@variant("sum",
         ["What is {a} times {b}?", "Multiply {a} by {b}.",
          "[What is|Find] the product of {a} and {b}?",
          "[How much is|What's] {a} times {b}?", "{a} times {b}", "What is {a} multiplied by {b}?",
          "{a}乘{b}等于多少?", "{a}乘以{b}是多少？",
          "[Can|Could] you [work out|compute] {a} times {b}[| for me]?",
          "[Please multiply|Now multiply] {a} [and|by|with] {b}.",
          "{a} multiplied by {b}",
          "Product of {a} and {b}?",
          "[Can|Could] you multiply {a} by {b}?"],
         ["Could you multiply {a} and {b} for me?"])
def times(draw):
    a, b = _operands(draw, "×")
    return _plan(dict(a=a, b=b), [Step("", a, "×", b)])


@variant("sum",
         ["What is {a} divided by {b}?", "Divide {a} by {b}.",
          "[How much is|What's] {a} divided by {b}?",
          "{a} divided by {b}", "How many times does {b} go into {a}?", "{a}除以{b}等于多少?",
          "{a}除以{b}是多少？",
          "[Can|Could] you divide {a} by {b}[| for me]?",
          "[Please divide|Split|Share] {a} [by|into] {b}[| equal parts].",
          "What is {a} split into {b} [equal |]parts?",
          "What do I get if I divide {a} by {b}?"],
         ["What do you get when you split {a} into {b} equal parts?"])
def divided(draw):
    a, b = _operands(draw, "÷")
    return _plan(dict(a=a, b=b), [Step("", a, "÷", b)])


@variant("sum", ["What is {a} divided by {b}?", "{a}/{b}", "What is {a} / {b}?", "{a} / {b} = ?",
                 "Divide {a} by {b}.", "{a} ÷ {b}", "[How much is|Calculate] {a} / {b}?",
                 "How often does {b} go into {a}?"],
         ["What do I have to write for {a} / {b}?"])
def uneven(draw):
    b = draw.rng.randint(2, 12)
    a = b * draw.rng.randint(1, draw.pick((12, 99, 999 // b))) + draw.rng.randint(1, b - 1)
    plan = _plan(dict(a=a, b=b), [Step("", a, "//", b)])
    plan.exact = f"{a // b} remainder {a % b}"
    return plan


@variant("sum",
         ["What is the remainder of {a} divided by {b}?",
          "[What is|Find] the remainder when {a} is "
          "divided by {b}?", "What is {a} mod {b}?",
          "What is left over if I divide {a} by {b}?",
          "Divide {a} by {b}. What is the remainder?"],
         ["If you divide {a} by {b}, what is left over?"])
def remainder(draw):
    a, b = _number(draw), draw.rng.randint(2, 12)
    return _plan(dict(a=a, b=b), [Step("", a, "%", b)])


@variant("sum", ["What is double {a}?", "Double {a}.", "What is twice {a}?",
                 "[How much is|What is] two times {a}?",
          "What is two times as much as {a}?",
          "Which number is twice {a}?"],
         ["What number is twice as large as {a}?"])
def double(draw):
    a = _number(draw)
    return _plan(dict(a=a), [Step("", a, "×", 2)])


@variant("sum", ["What is {part} of {a}?", "[How much is|What's] {part} of {a}?",
                 "Find {part} of {a}.",
          "Give me {part} of {a}.",
          "Which number is {part} of {a}?",
          "How much are {part} of {a}?"],
         ["How many are {part} of {a}?"])
def part(draw):
    d = draw.pick((2, 2, 3, 4, 5, 10))
    name = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 10: "a tenth"}[d]
    a = d * draw.rng.randint(1, draw.pick((12, 99, 999 // d)))
    return _plan(dict(a=a, part=name), [Step("", a, "÷", d)])


@variant("percent",
         ["What is {q}% of {a}?", "[How much is|Calculate] {q}% of {a}?", "{q}% of {a}",
          "What is {q} percent of {a}?", "Find {q}% of {a}.",
          "How much are {q} percent of {a}?",
          "[Work out|Give me|Tell me] {q}% of {a}.",
          "Of {a}, take {q} percent. What is it?"],
         ["{a} is the whole. How much are {q} percent of it?"])
def percent(draw):
    q = draw.pick([1, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90])
    a = draw.rng.randint(1, 9) * 100 if q == 1 else draw.rng.randint(1, 45) * 20
    whole = Step(f"{q} percent of {a} is {a} times {q} over 100", a, "×", q)
    return Plan(dict(a=a, q=q), "", [whole, Step("Over 100", whole.value, "÷", 100)],
                f"{q}% of {a} is {{}}.")


@variant("mixed", ASK + ["[Please|Now] [compute|calculate|solve] {e}.",
          "[Work out|Give me|Tell me] {e}[.| please.]",
          "The result of {e} is?",
          "[Could|Can] you [compute|calculate|solve|do] {e}?"], ASK_UNSEEN)
def product_and_sum(draw):
    """a + b × c, a × b + c, a - b × c, a × b - c: the product comes first."""
    b, c = draw.rng.randint(2, draw.pick((12, 60))), draw.rng.randint(2, 12)
    product = Step("The product comes first", b, "×", c)
    a = _number(draw)
    if draw.rng.random() < 0.5:
        steps = [product, Step("Then the rest", a, "+", product.value)]
        terms = [a, "+", b, "×", c]
        if draw.rng.random() < 0.5:
            steps[1] = Step("Then the rest", product.value, "+", a)
            terms = [b, "×", c, "+", a]
    elif a > product.value:
        steps = [product, Step("Then the rest", a, "-", product.value)]
        terms = [a, "-", b, "×", c]
    else:
        steps = [product, Step("Then the rest", product.value, "-", a)]
        terms = [b, "×", c, "-", a]
    return _plan(dict(e=_expression(draw, terms)), steps)


@variant("mixed", ASK + ["[Please|Now] [compute|calculate|solve] {e}.",
          "[Work out|Give me|Tell me] {e}[.| please.]",
          "The result of {e} is?",
          "[Could|Can] you [compute|calculate|solve|do] {e}?"], ASK_UNSEEN)
def brackets(draw):
    """(a ± b) × c and c × (a ± b)."""
    a, b, c = draw.rng.randint(2, 99), draw.rng.randint(2, 99), draw.rng.randint(2, 12)
    a, b, op = (a, b, "+") if draw.rng.random() < 0.5 else (a + b, b, "-")
    inner = Step("The brackets come first", a, op, b)
    bracket = f"({_expression(draw, [a, op, b])})"
    if draw.rng.random() < 0.5:
        return _plan(dict(e=bracket + _expression(draw, ["×", c])),
                     [inner, Step("Then the rest", inner.value, "×", c)])
    return _plan(dict(e=_expression(draw, [c, "×"]) + bracket),
                 [inner, Step("Then the rest", c, "×", inner.value)])


@variant("mixed", ASK + ["[Please|Now] [compute|calculate|solve] {e}.",
          "[Work out|Give me|Tell me] {e}[.| please.]",
          "The result of {e} is?",
          "[Could|Can] you [compute|calculate|solve|do] {e}?"], ASK_UNSEEN)
def chain(draw):
    """Sums and differences from left to right."""
    terms = [_number(draw)]
    steps, total = [], terms[0]
    for index in range(draw.rng.randint(2, 3)):
        n = _number(draw)
        op = draw.pick("+-") if n < total else "+"
        steps.append(Step("From the left" if index == 0 else "Then", total, op, n))
        total = steps[-1].value
        terms += [op, n]
    return _plan(dict(e=_expression(draw, terms)), steps)


@variant("mixed",
         ["Add {a}, {b} and {c}.", "What is the sum of {a}, {b} and {c}?",
          "[How much is|What is] {a} "
          "plus {b} plus {c}?",
          "What do you get from {a}, {b} and {c} together?",
          "[Please add|Add up] {a}, {b} and {c}.",
          "{a}, {b} and {c} make what?"],
         ["What do {a}, {b} and {c} make together?"])
def three_numbers(draw):
    a, b, c = _number(draw), _number(draw), _number(draw)
    two = Step("First two", a, "+", b)
    return _plan(dict(a=a, b=b, c=c), [two, Step("All three", two.value, "+", c)])
