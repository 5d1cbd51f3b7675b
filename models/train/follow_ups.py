"""Second questions that continue from an answer: "And if he buys 3 more?", "Double that."."""

import plan
import retell

# (lead, operator, questions) by who or what the answer counts.
THINGS_OF_SOMEBODY = {
    "+": ("{He} gets {more} more",
          ["[And if|And what if|What if|If] {he} [buys|gets|finds|receives] {more} more?",
           "[Then|Now|Later] {he} [buys|gets|finds] {more} more. How many {things} [does {he} "
           "have|are there] [now|then]?",
           "And with {more} more?", "{name} [buys|gets] {more} more. How many now?",
           "How many [would it be|are there] if {he} [buys|gets] {more} more?"]),
    "-": ("{less} go away",
          ["[And if|And what if|What if|If] {he} [loses|gives away|sells] {less}[| of them]?",
           "[Then|Now|Later] {he} [loses|gives away|sells] {less}. How many {things} [does {he} "
           "have|are] left?",
           "And if {less} are lost?", "{name} [sells|gives away] {less}. How many now?",
           "How many [would be|are] left if {he} [loses|gives away] {less}?"])}

MONEY_OF_SOMEBODY = {
    "+": ("{He} gets {more} more",
          ["[And if|What if|If] {he} [gets|earns|finds] {more} dollars more?",
           "[Then|Now] {he} [gets|earns|finds] {more} dollars[| more]. How much does {he} have "
           "[now|then]?",
           "And with ${more} more?"]),
    "-": ("{He} spends {less}",
          ["[And if|What if|If] {he} [spends|loses|pays] {less} dollars[| more]?",
           "[Then|Now] {he} [spends|loses|pays] {less} dollars. How much [is left|does {he} have "
           "left]?",
           "And if {he} spends ${less}?"])}

ADD = ("Add the new number", "+", "more",
       ["Add {more}[| to that| to it].", "[And|What is] {more} more than that?", "Plus {more}?",
        "Now add {more}[.|!]", "And with {more} more?"])
TAKE = ("Take away the new number", "-", "less",
        ["Subtract {less}[| from that| from it].", "[And|What is] {less} less than that?",
         "Minus {less}?", "Now take away {less}[.|!]"])
DOUBLE = ("Twice that", "×", "two",
          ["Double that.", "Double it.", "[And|What is] twice that?", "Now double it[.|!]",
           "And [two times|twice] as [much|many]?"])
TIMES = ("{factor} times that", "×", "factor",
         ["Multiply [that|it] by {factor}.", "[And|What is] {factor} times that?",
          "Times {factor}?"])
HALF = ("Half of that", "÷", "two",
        ["[And|What is|What about] half of that?", "Now half of it.", "Divide that by 2."])
SHARE = ("Shared by {parts}", "÷", "parts",
         ["[Share|Divide] them equally [among|between] {parts} [people|friends].",
          "And if {parts} [people|friends] share them equally?"])

CHECK = ["Are you sure?", "Are you sure about that?", "Please check that.", "Is that right?",
         "Can you check it again?"]

LARGEST_CONTINUED = 99999  # longer numbers would make longer reasoning than is trained on


def follow_up(rng, first, last):
    """(question, plan, note) after the answer of the plan `last`; None if nothing fits.

    `first` is the plan that the conversation began with: only it can be checked again.
    """
    if last.exact or not 0 <= last.answer <= LARGEST_CONTINUED:
        return None
    roll = rng.random()
    if last.what_if and roll < 0.25:
        return *rng.choice(last.what_if), ""
    if roll < 0.32 and last is first:
        return rng.choice(CHECK), last, "Yes, I checked it. "
    draw = plan.Draw(rng)
    question, continued = _of_somebody(draw, last) if last.holder and roll < 0.8 else \
        _of_that(draw, last)
    if last.is_first_person:
        question, continued = retell.first_person(question, continued)
    return question, continued, ""


def _numbers(draw, total):
    return dict(more=draw.number(2, 99), less=draw.number(1, max(1, min(total - 1, 99))), two=2,
                factor=draw.rng.randint(2, 12))


def _continued(last, lead, op, number, sentence, slots):
    return plan.Plan(slots, f"Before, it was {last.answer}.",
                     [plan.Step(lead, last.answer, op, number)], sentence, holder=last.holder,
                     noun=last.noun, money=last.money)


def _of_somebody(draw, last):
    slots = dict(plan.who(last.holder), things=last.noun, **_numbers(draw, last.answer))
    op = "+" if last.answer < 2 or draw.rng.random() < 0.5 else "-"
    lead, questions = (MONEY_OF_SOMEBODY if last.money else THINGS_OF_SOMEBODY)[op]
    noun = "dollars" if last.money else last.noun
    return draw.fill(draw.pick(questions), slots), _continued(
        last, lead.format(**slots), op, slots["more" if op == "+" else "less"],
        f"Then {last.holder.name} has {{}} {noun}.", slots)


def _of_that(draw, last):
    total = last.answer
    slots = _numbers(draw, total)
    options = [ADD, DOUBLE]
    if total > 1:
        options.append(TAKE)
    if total < 1000:
        options.append(TIMES)
    if total and total % 2 == 0:
        options.append(HALF)
    shares = [parts for parts in range(3, 13) if total and total % parts == 0]
    if last.noun and shares:
        slots["parts"] = draw.pick(shares)
        options.append(SHARE)
    lead, op, number, questions = draw.pick(options)
    return draw.fill(draw.pick(questions), slots), _continued(
        last, lead.format(**slots), op, slots[number], "Then it is {}.", slots)
