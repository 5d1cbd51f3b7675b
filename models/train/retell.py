"""The same problem told differently: in the first person, in other words, with idle remarks.

None of this changes the numbers or the steps. It is what lets a model that only ever
sees templates cope with sentences that it has not seen.
"""

import dataclasses
import re

import vocabulary

# Third person to the other ones.
VERBS = {"has": "have", "owns": "own", "starts": "start", "begins": "begin", "buys": "buy",
         "finds": "find", "gets": "get", "receives": "receive", "collects": "collect",
         "picks": "pick",
         "wins": "win", "gives": "give", "loses": "lose", "sells": "sell", "drops": "drop",
         "uses": "use", "throws": "throw", "eats": "eat", "counts": "count", "keeps": "keep",
         "fills": "fill", "takes": "take", "works": "work", "earns": "earn",
         "makes": "make", "spends": "spend", "pays": "pay", "saves": "save", "adds": "add",
         "puts": "put", "goes": "go", "needs": "need", "ends": "end", "orders": "order",
         "sees": "see", "breaks": "break", "returns": "return", "leaves": "leave",
         "cooks": "cook", "bakes": "bake",
         "draws": "draw", "catches": "catch", "plants": "plant", "grows": "grow", "writes": "write",
         "forgets": "forget", "burns": "burn", "spills": "spill", "hides": "hide", "lends": "lend", "is given": "are given", "is paid": "are paid"}

# Somebody else acts in these, so the verbs would be changed wrongly.
OTHERS_ACT = re.compile(r"shop|[Ee]ach \w+ (has|holds)|\bit\b|\bthat (had|held)\b")


def _in_person(text, person, subject, obj, possessive):
    text = re.sub(rf"\b{person.name}'s\b", possessive, text)
    text = re.sub(rf"\b({person.name}|{person.he}|{person.He})\b", subject, text)
    text = re.sub(rf"\b(to|for|of|from|with|than) {subject}\b", rf"\1 {obj}", text)
    text = re.sub(rf"\b{person.him}\b", obj, text)
    text = re.sub(rf"\b{person.his}\b", possessive, text)
    for verb, other in VERBS.items():
        text = re.sub(rf"\b{verb}\b", other, text)
    text = text.replace(f"does {subject}", f"do {subject}").replace(f"Does {subject}",
                                                                    f"Do {subject}")
    text = re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), text)
    return text


def can_be_first_person(question, plan):
    return plan.holder is not None and plan.holder.he == "he" and " " not in plan.holder.name and \
        not OTHERS_ACT.search(question)


def first_person(question, plan):
    """("I have …", the plan that answers "You have …")."""
    person = plan.holder

    def asked(text):
        return _in_person(text, person, "I", "me", "my").replace(
            "are given", "am given").replace("are paid", "am paid")

    def answered(text):
        return _in_person(text, person, "you", "you", "your")

    return asked(question), dataclasses.replace(
        plan, given=answered(plan.given), sentence=answered(plan.sentence),
        steps=[dataclasses.replace(step, lead=answered(step.lead)) for step in plan.steps],
        what_if=[first_person(*pair) for pair in plan.what_if], is_first_person=True)


SYNONYMS = [
    (r"\bHow many (\w+)\b", [r"What number of \1", r"Just how many \1", r"So how many \1"]),
    (r"\bhow many (\w+)\b", [r"what number of \1"]),
    (r"\bHow much money\b", ["What amount of money", "How many dollars"]),
    (r"\bbuys\b", ["purchases", "acquires", "brings home"]),
    (r"\bgets\b", ["obtains", "is handed", "takes"]),
    (r"\bfinds\b", ["discovers", "digs up"]),
    (r"\bsells\b", ["trades away", "passes on"]),
    (r"\bgives away\b", ["hands out", "donates"]),
    (r"\bloses\b", ["misplaces", "can not find"]),
    (r"\bare left\b", ["are still there", "remain now", "stay"]),
    (r"\bis left\b", ["is still there", "stays"]),
    (r"\btogether\b", ["combined", "as a whole"]),
    (r"\b(in total|altogether|in all)\b", ["overall", "in sum"]),
    (r"\bequally\b", ["evenly", "fairly", "in equal parts"]),
    (r"\beach week\b", ["weekly", "every single week"]),
    (r"\b(each|every|a|per) day\b", ["daily", "per day", "on each day"]),
    (r"\bper hour\b", ["an hour", "each hour"]),
    (r"\bat \$(\d+) each\b", [r"for \1 dollars each", r"that cost $\1 each",
                               r"at a price of $\1 each"]),
    (r"\bfor \$(\d+) each\b", [r"at \1 dollars apiece", r"with a price of $\1 each"]),
    (r"\bThen\b", ["Next", "Afterwards", "A bit later"]),
    (r"\band then\b", ["and next", "and afterwards"]),
    (r"\bcosts\b", ["is priced at", "sells for"]),
    (r"\b[Tt]here are\b", ["We have", "One can see"]),
    (r"\bwants to\b", ["plans to", "would like to"]),
    (r"\bnow\b", ["at this point", "at the moment", "by now"])]


def in_other_words(rng, text):
    for pattern, others in SYNONYMS:
        if rng.random() < 0.3:
            text = re.sub(pattern, rng.choice(others), text, count=1)
    return re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def with_remark(rng, text):
    """A sentence that has nothing to do with it, before the problem or inside."""
    word, other = rng.choice(vocabulary.WORDS), rng.choice(vocabulary.WORDS)
    name = rng.choice(vocabulary.HE + vocabulary.SHE)
    remark = rng.choice(["It is a nice day.", f"The {word} is {other}.",
                         f"{name} likes the {word}.",
                         f"Today is {name}'s birthday.", f"This is about the {word}.",
                         "Here is a problem.",
                         f"{name} is {rng.randint(4, 60)} years old.", f"The {word} costs nothing.",
                         f"{name} lives near the {word}.", "Think about this.", "Listen.",
                         f"We are at the {word}."])
    if ". " in text and rng.random() < 0.5:
        first, rest = text.split(". ", 1)
        return f"{first}. {remark} {rest}"
    return f"{remark} {text}"


SMALL_WORDS = ("the", "a", "an", "of", "at", "in", "with", "then", "and", "is", "to", "it",
               "that", "for")


def carelessly(rng, text):
    """Without some of the small words."""
    words = text.split(" ")
    return " ".join(word for word in words if word not in SMALL_WORDS or rng.random() < 0.7)
