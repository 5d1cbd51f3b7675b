"""What a problem is before it is a conversation: numbers, steps, wordings.

A family is a kind of problem ("sharing"); a variant is one structure of steps
with its wordings. Wordings under `unseen` are never trained on, nor is any
variant of a family registered with `heldout=True`.

Wordings use a small notation: [a|b] picks one, {slot} inserts a value.
"""

import dataclasses
import re

import arithmetic
import vocabulary


@dataclasses.dataclass(frozen=True)
class Step:
    lead: str  # why: "He buys 7"
    a: int
    op: str
    b: int

    @property
    def value(self):
        return arithmetic.value(self.a, self.op, self.b)

    @property
    def work(self):
        return arithmetic.work(self.a, self.op, self.b)


@dataclasses.dataclass(frozen=True)
class Person:
    name: str
    he: str
    him: str
    his: str

    @property
    def He(self):
        return self.he.capitalize()


@dataclasses.dataclass
class Plan:
    """One concrete problem. `sentence` has one {} for the answer."""

    slots: dict
    given: str
    steps: list
    sentence: str
    holder: Person | None = None  # whose things can grow and shrink in a follow-up
    noun: str = ""
    money: bool = False
    what_if: list = dataclasses.field(default_factory=list)  # (question, Plan) pairs
    exact: str | None = None  # the answer, where it is not the last value
    is_first_person: bool = False  # told by the holder: "I have …"

    @property
    def answer(self):
        return self.steps[-1].value

    @property
    def answer_text(self):
        return self.exact or str(self.answer)


@dataclasses.dataclass(frozen=True)
class Variant:
    family: str
    draw: object
    wordings: list
    unseen: list
    heldout: bool


VARIANTS = []

SYLLABLES = "ba do fi gu ka lo mi nu pe ra so ti vu wa zo bri cla dro fle gri".split()


def variant(family, wordings, unseen=(), heldout=False):
    """Registers the decorated function, which maps a Draw to a Plan."""

    def register(draw):
        VARIANTS.append(Variant(family, draw, list(wordings), list(unseen), heldout))
        return draw

    return register


class Draw:
    """Everything random in a problem, from one random.Random."""

    def __init__(self, rng):
        self.rng = rng
        self.pick = rng.choice
        # Few problems spell out small numbers; those that do, do so throughout.
        self.spelled = rng.random() < 0.12

    def number(self, low, high):
        """Small numbers are as likely as large ones."""
        span = self.rng.choice((12, 30, 100, 1000))
        top = min(high, max(low + 8, span))
        return self.rng.randint(low, top)

    def say(self, number):
        if self.spelled and 0 < number < len(vocabulary.NUMBER_WORDS):
            return vocabulary.NUMBER_WORDS[number]
        return str(number)

    def invented(self):
        """A word that means nothing, to be copied."""
        return "".join(self.rng.choice(SYLLABLES) for _ in range(self.rng.randint(2, 3)))

    def people(self, count):
        found = []
        while len(found) < count:
            roll, is_he = self.rng.random(), self.rng.random() < 0.5
            name = self.rng.choice(vocabulary.HE if is_he else vocabulary.SHE)
            if roll < 0.03:
                name = self.invented().capitalize()
            elif roll < 0.11 and not found:
                roles = vocabulary.HE_ROLES if is_he else vocabulary.SHE_ROLES
                name = "the " + self.rng.choice(roles)
            person = Person(name, *(("he", "him", "his") if is_he else ("she", "her", "her")))
            if all(person.name != other.name for other in found):
                found.append(person)
        return found

    def person(self):
        return self.people(1)[0]

    def thing(self, food=None):
        """(singular, plural); some are words that no other problem counts."""
        roll = self.rng.random()
        if roll < 0.04:
            word = self.invented()
            return word, word + "s"
        if roll < 0.24:
            word = self.rng.choice(vocabulary.COUNTABLE)
            return word, word + "s"
        if food is None:
            food = self.rng.random() < 0.45
        return self.rng.choice(vocabulary.FOOD if food else vocabulary.GOODS)

    def things(self, count):
        found = []
        while len(found) < count:
            thing = self.thing()
            if thing not in found:
                found.append(thing)
        return found

    def fill(self, template, slots):
        while "[" in template:
            template = re.sub(r"\[([^\[\]]*)\]",
                              lambda match: self.rng.choice(match.group(1).split("|")), template)
        spoken = {name: self.say(slot) if isinstance(slot, int) else slot
                  for name, slot in slots.items()}
        # "$five" is nobody's English.
        money = re.sub(r"\$\{(\w+)\}", lambda match: f"${slots[match.group(1)]}", template)
        text = re.sub(r" +([.?,])", r"\1", money.format(**spoken))
        return re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def who(person, prefix=""):
    """Slots for a person: {name} {he} {He} {him} {his}, each after `prefix`."""
    return {prefix + key: getattr(person, key) for key in ("name", "he", "He", "him", "his")}
