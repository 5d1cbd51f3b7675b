"""Conversations to learn from, and held-out ones to be examined on.

Held out are: one problem in fifty, chosen by its numbers (so no rewording of it is
trained on either); every `unseen` wording; every variant of the family "hall".

    python3 models/train/problems.py --model r1 --count 3
"""

import argparse
import dataclasses
import random
import re
import zlib

import chat
import counting  # registers its variants
import follow_ups
import goods  # registers its variants
import measuring  # registers its variants
import plan
import rates  # registers its variants
import retell
import single  # registers its variants
import smalltalk
import sums  # registers its variants
import vocabulary

assert counting and goods and measuring and rates and single and sums

DIRECTIVE = "Please reason step by step, and put your final answer within \\boxed{}."

SYSTEMS = ["You are a helpful assistant.", "You are a math tutor.", "Be brief.", DIRECTIVE,
           "You are Weft, a helpful assistant.", "Answer the question."]

OPENINGS = {"r1": ["Okay, let me think step by step.", "Okay, let me work through this.",
                   "Alright, one step at a time."],
            "math": ["Let us solve this step by step."]}

# How often a family is drawn; the default is 1 per variant.
FAMILY_WEIGHTS = {"change": 4.0, "sum": 1.5, "mixed": 1.5, "percent": 1.5}

# Nothing to retell in these.
BARE_FAMILIES = ("sum", "mixed", "percent")


@dataclasses.dataclass
class Turn:
    user: str
    thought: str  # what stands inside <think>, without the tags
    reply: str
    answer: str | None = None

    def text(self, model):
        """What the assistant writes from the end of the generation prompt on."""
        return f"{self.thought}\n</think>\n\n{self.reply}" if model == "r1" else self.reply


@dataclasses.dataclass
class Problem:
    variant: plan.Variant
    question: str
    plan: plan.Plan


def is_held_out(drawn):
    """Whether the numbers of this plan belong to the examination."""
    key = repr([(step.a, step.op, step.b) for step in drawn.steps])
    return zlib.crc32(key.encode()) % 50 == 0


def problem(rng, kind="train"):
    """A problem to train on, or a held-out one: "seen" or "unseen" wording, new "family"."""
    pool, weights = _POOLS[kind]
    while True:
        variant = rng.choices(pool, weights)[0]
        draw = plan.Draw(rng)
        drawn = variant.draw(draw)
        if is_held_out(drawn) == (kind == "train"):
            continue
        wording = rng.choice(variant.unseen if kind == "unseen" else variant.wordings)
        question = draw.fill(wording, drawn.slots)
        if kind == "train" and variant.family not in BARE_FAMILIES:
            question, drawn = _retold(rng, question, drawn)
        return Problem(variant, question, drawn)


def _retold(rng, question, drawn):
    if rng.random() < 0.25 and retell.can_be_first_person(question, drawn):
        question, drawn = retell.first_person(question, drawn)
    if rng.random() < 0.35:
        question = retell.in_other_words(rng, question)
    if rng.random() < 0.08:
        question = retell.with_remark(rng, question)
    if rng.random() < 0.07:
        question = retell.carelessly(rng, question)
    if rng.random() < 0.6:  # "A baker …" is "the baker" from then on
        question = re.sub(r"\b([Tt])he "
                           "(%s)\b" % "|".join(vocabulary.HE_ROLES + vocabulary.SHE_ROLES),
                          lambda match: ("A " if match[1] == "T" else "a ") + match[2], question,
                          count=1)
    return question, drawn


def _pools():
    trained = [variant for variant in plan.VARIANTS if not variant.heldout]
    reworded = [variant for variant in trained if variant.unseen]
    new = [variant for variant in plan.VARIANTS if variant.heldout]
    count = {}
    for variant in plan.VARIANTS:
        count[variant.family] = count.get(variant.family, 0) + 1
    weight = [FAMILY_WEIGHTS.get(variant.family, 1.0) for variant in trained]
    return {"train": (trained, weight), "seen": (trained, None), "unseen": (reworded, None),
            "family": (new, None)}


_POOLS = _pools()


def solve(rng, question, drawn, model, note=""):
    """The turn that answers `question` by going through the steps of its plan."""
    answer = drawn.answer_text
    lines = [f"{_capital(step.lead)}: {step.work}." if step.lead else f"{step.work}."
             for step in drawn.steps]
    given = [_capital(drawn.given)] if drawn.given else []
    opening = rng.choice(OPENINGS[model])
    result = _capital(drawn.sentence.format(answer))
    if model == "r1":
        thought = "\n".join([opening, *given, *lines, f"So the answer is {answer}."])
        return Turn(question, thought, f"{note}{result}\n\n\\boxed{{{answer}}}", answer)
    if len(lines) > 1:
        lines = [f"Step {index + 1}. {line}" for index, line in enumerate(lines)]
    reply = "\n".join([opening, *given, *lines])
    return Turn(question, "", f"{reply}\n\n{note}{result} The answer is \\boxed{{{answer}}}.",
                answer)


def _capital(text):
    return text[:1].upper() + text[1:]


def _as_typed(rng, text, model):
    """People forget capitals and question marks, say hello, or paste the usual directive."""
    roll = rng.random()
    if roll < 0.05:
        text = text.lower()
    elif roll < 0.10:
        text = text.rstrip("?.！？")
    elif roll < 0.13:
        text = rng.choice(["Hi! ", "Hello, ", "Please help: ", "Question: ", "Problem: ",
                           "Solve this: ",
                           "Help me with this: ", "My homework: ", "Q: ", "1. ",
                           "Can you solve this? "]) + text
    if rng.random() < (0.3 if model == "r1" else 0.12):
        text += rng.choice(["\n", "\n", "\n\n", " "]) + DIRECTIVE
    return text


def _talk(rng, model):
    question, thought, reply = smalltalk.exchange(rng, model)
    return Turn(question, thought, reply)


def conversation(rng, model):
    """(system text or None, turns) as the models are trained on."""
    system = rng.choice(SYSTEMS) if rng.random() < 0.15 else None
    roll = rng.random()
    turns = []
    if roll < 0.09:
        turns = [_talk(rng, model) for _ in range(rng.choice((1, 1, 2)))]
    elif roll < 0.12:
        turns = [_talk(rng, model)]
    first = problem(rng)
    if roll >= 0.09:
        turns.append(solve(rng, _as_typed(rng, first.question, model), first.plan, model))
    if 0.12 <= roll < 0.34:
        last = first.plan
        for _ in range(rng.choice((1, 1, 2, 3))):
            follow = follow_ups.follow_up(rng, first.plan, last)
            if follow is None:
                break
            question, last, note = follow
            turns.append(solve(rng, question, last, model, note))
    elif roll < 0.42 and roll >= 0.34:
        for _ in range(rng.choice((1, 1, 2))):
            other = problem(rng)
            turns.append(solve(rng, _as_typed(rng, other.question, model), other.plan, model))
    if 0.09 <= roll < 0.42 and rng.random() < 0.12:
        question, thought, reply = smalltalk.thanks(rng, model) if rng.random() < 0.6 else \
            smalltalk.exchange(rng, model)
        turns.append(Turn(question, thought, reply))
    return system, turns


def segments(rng, model):
    """A conversation as [(text, learned)]: what the model must write is learned."""
    system, turns = conversation(rng, model)
    if model == "math":
        return chat.chatml_segments(system, [(turn.user, turn.text(model)) for turn in turns])
    # Clients send back what they were shown: with or without the blank line after </think>.
    gap = rng.choice(("", "\n\n"))
    past = [(turn.user, gap + turn.reply) for turn in turns[:-1]]
    return chat.r1_segments(system, past, turns[-1].user, turns[-1].text(model))


def examination(kind, count, seed):
    """Held-out conversations: [{"turns": [question, …], "answers": [answer, …], "family": …}].

    Kinds: "seen", "unseen" and "family" are single questions; "follow_up" has two turns.
    """
    rng = random.Random(f"{kind} {seed}")
    items, asked = [], set()
    while len(items) < count:
        first = problem(rng, "seen" if kind == "follow_up" else kind)
        turns, answers = [first.question], [solve(rng, "", first.plan, "r1").answer]
        if first.question in asked:
            continue
        if kind == "follow_up":
            follow = follow_ups.follow_up(rng, first.plan, first.plan)
            if follow is None or follow[2]:
                continue
            turns.append(follow[0])
            answers.append(solve(rng, "", follow[1], "r1").answer)
        asked.add(first.question)
        items.append(dict(family=first.variant.family, turns=turns, answers=answers))
    return items


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=("r1", "math"), default="r1")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    for _ in range(args.count):
        print("".join(text for text, _ in segments(rng, args.model)), end="\n\n")


if __name__ == "__main__":
    main()
