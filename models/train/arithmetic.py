"""Written arithmetic: every operation as the words the models learn to produce.

A model of four million parameters cannot multiply 47 by 86 in its head, but it
can do what children are taught: one column at a time. `work` renders an
operation that way, and always ends in "a op b = c". Small operations are facts
and are only stated.
"""

COLUMNS = ("ones", "tens", "hundreds", "thousands", "ten thousands", "hundred thousands",
           "millions")

# Up to here times tables are facts; also the largest divisor of a long division.
TABLE_LIMIT = 12

# Operands below this are added and subtracted at once, without columns.
AT_ONCE = 100


def value(a, op, b):
    """The result. "%" is the remainder of a division, "÷" must come out even."""
    if op == "+":
        return a + b
    if op == "-":
        return a - b
    if op == "×":
        return a * b
    if op == "÷":
        assert a % b == 0, f"{a} ÷ {b} leaves a remainder"
        return a // b
    if op == "//":
        return a // b
    assert op == "%"
    return a % b


def work(a, op, b):
    """The operation worked out in words, ending in its result."""
    if op == "+":
        return _add(a, b)
    if op == "-":
        return _subtract(a, b)
    if op == "×":
        return _multiply(a, b)
    return _divide(a, b)


def _digits(number):
    """Decimal digits, ones first."""
    return [int(digit) for digit in reversed(str(number))]


def _columns(head, columns, result):
    named = ", ".join(f"{COLUMNS[place]} {text}" for place, text in enumerate(columns))
    return f"{head}: {named}, so {head} = {result}"


def _add(a, b):
    head = f"{a} + {b}"
    if a < AT_ONCE and b < AT_ONCE:
        return f"{head} = {a + b}"
    columns, carry = [], 0
    x, y = _digits(a), _digits(b)
    for place in range(max(len(x), len(y))):
        terms = [digits[place] for digits in (x, y) if place < len(digits)]
        if carry:
            terms.append(carry)
        total = sum(terms)
        carry = total // 10
        text = " + ".join(map(str, terms))
        if len(terms) > 1:
            text += f" = {total}"
        columns.append(text + (f" carry {carry}" if carry else ""))
    return _columns(head, columns, a + b)


def _subtract(a, b):
    head = f"{a} - {b}"
    if b > a:
        return f"{_subtract(b, a)}, so {head} = -{b - a}"
    if a < AT_ONCE:
        return f"{head} = {a - b}"
    columns, borrow = [], 0
    x, y = _digits(a), _digits(b)
    for place, digit in enumerate(x):
        taken = ([y[place]] if place < len(y) else []) + ([borrow] if borrow else [])
        borrow = int(digit < sum(taken))
        top = digit + 10 * borrow
        text = " - ".join(map(str, [top] + taken))
        if taken:
            text += f" = {top - sum(taken)}"
        columns.append(text + (" borrow 1" if borrow else ""))
    return _columns(head, columns, a - b)


def _multiply(a, b):
    head, result = f"{a} × {b}", a * b
    if (a <= TABLE_LIMIT and b <= TABLE_LIMIT) or _is_power_of_ten(a) or _is_power_of_ten(b):
        return f"{head} = {result}"
    if _significant(a) < _significant(b):
        return f"{_multiply(b, a)}, so {head} = {result}"
    parts = [digit * 10**place for place, digit in enumerate(_digits(b)) if digit]
    if len(parts) == 1:
        return _multiply_by_part(a, b)
    parts.reverse()
    split = " + ".join(f"{a} × {part}" for part in parts)
    text, total = f"{head} = {split}", None
    for part in parts:
        text += f". {_multiply_by_part(a, part)}"
        if total is not None:
            text += f". {_add(total, a * part)}"
        total = a * part if total is None else total + a * part
    return f"{text}, so {head} = {result}"


def _multiply_by_part(a, part):
    """a times one digit, followed by any zeros that `part` ends in."""
    digit, zeros = int(str(part)[0]), len(str(part)) - 1
    text = _multiply_by_digit(a, digit)
    return f"{text}, so {a} × {part} = {a * part}" if zeros else text


def _multiply_by_digit(a, digit):
    head = f"{a} × {digit}"
    if a <= TABLE_LIMIT or digit == 1:
        return f"{head} = {a * digit}"
    columns, carry = [], 0
    for figure in _digits(a):
        total = figure * digit + carry
        text = f"{figure} × {digit}" + (f" + {carry}" if carry else "") + f" = {total}"
        carry = total // 10
        columns.append(text + (f" carry {carry}" if carry else ""))
    return _columns(head, columns, a * digit)


def _significant(number):
    """Digits that count: 400 has one, 47 has two. Multiply by the shorter one."""
    return sum(digit > 0 for digit in _digits(number)), len(str(number)), number


def _is_power_of_ten(number):
    return number in (10, 100, 1000)


def _quotient(a, b):
    rest = a % b
    return f"{a} ÷ {b} = {a // b}" + (f" remainder {rest}" if rest else "")


def _divide(a, b):
    """Long division for divisors up to TABLE_LIMIT; round ones drop their zeros."""
    if _is_power_of_ten(b) and a % b == 0:
        return _quotient(a, b)
    assert 1 < b <= TABLE_LIMIT, f"no way to divide by {b}"
    if a < b * 10:
        return _quotient(a, b)
    figures = str(a)
    taken = 1
    while int(figures[:taken]) < b:
        taken += 1
    rest, lines = int(figures[:taken]), []
    while True:
        lines.append(f"{rest} ÷ {b} = {rest // b} remainder {rest % b}")
        if taken == len(figures):
            break
        rest = rest % b * 10 + int(figures[taken])
        taken += 1
    return f"{a} ÷ {b}: {', '.join(lines)}, so {_quotient(a, b)}"
