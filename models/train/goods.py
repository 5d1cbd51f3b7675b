"""Word problems about goods: bought, paid for, shared, packed, given away in part."""

from plan import Plan, Step, variant, who
import vocabulary


# ---- shop: two kinds of things at two prices

@variant("shop",
         ["{name} buys {a} {things} at ${p} each and {b} {others} at ${q} each. How much does {he} "
          "[spend|pay][| in total| altogether]?",
          "{name} buys {a} {things} and {b} {others}. [Each|One] {thing} costs ${p} and "
          "[each|one] {other} costs ${q}. [How much does {he} pay in total|What is the total cost|"
          "What does {he} pay]?",
          "[A|One] {thing} costs {p} dollars and [a|one] {other} costs {q} dollars. How much "
          "[do|would] {a} {things} and {b} {others} cost[| together| in total]?",
          "A shop sells {things} for ${p} each and {others} for ${q} each. {name} "
          "[buys|takes|wants]"
          " {a} {things} and {b} {others}. How much [does {he} pay|money does {he} need]?",
          "What is the total [cost|price] of {a} {things} at {p} dollars each and {b} {others} at "
          "{q} dollars each?",
          "How much [money |]does {name} [need|spend|pay] for {a} {things} at ${p} each and {b} "
          "{others} at ${q} each?",
          "{name} orders {a} {things} for {p} dollars [each|apiece] and {b} {others} for {q} "
          "dollars [each|apiece]. [Find the total cost.|How much is the bill?|What is the bill?]",
          "If [one|a] {thing} costs ${p} and [one|a] {other} costs ${q}, [how much do|what do] {a} "
          "{things} and {b} {others} cost?",
          "{name} sells {a} {things} at {p} dollars each and {b} {others} at {q} dollars each. How "
          "much money does {he} [get|make|earn]?",
          "At the market {things} are ${p} each and {others} are ${q} each. [Work out|Find] what "
          "{a} {things} and {b} {others} cost [together|in total].",
          "What do {a} {things} for ${p} each and {b} {others} for ${q} each cost {name}?",
          "The price of a {thing} is {p} dollars and of a {other} {q} dollars. {name} needs {a} "
          "{things} and {b} {others}. What is the total?"],
         unseen=["The price of one {thing} is ${p}, and the price of one {other} is ${q}. Find the "
                 "total price if {name} needs {a} {things} and {b} {others}."])
def shop(draw):
    person = draw.person()
    (thing, things), (other, others) = draw.things(2)
    a, b, p, q = draw.number(2, 40), draw.number(2, 30), draw.number(2, 60), draw.number(2, 60)

    def plan(a):
        first = Step(f"{a} {things} cost", a, "×", p)
        second = Step(f"{b} {others} cost", b, "×", q)
        return Plan(dict(who(person), a=a, b=b, p=p, q=q, thing=thing, things=things, other=other,
                         others=others),
                    f"{a} {things} at {p} dollars each, {b} {others} at {q} dollars each.",
                    [first, second, Step("Together", first.value, "+", second.value)],
                    "The total is {} dollars.", money=True)

    result = plan(a)
    more = a + draw.rng.randint(1, 5)
    result.what_if.append((draw.pick([f"What if it is {more} {things} instead?",
                                      f"And with {more} {things} instead of {a}?",
                                      f"How much would it be with {more} {things}?"]), plan(more)))
    return result


# ---- pay: change from a payment

@variant("pay",
         ["{name} buys {a} {things} at ${p} each and pays with ${m}. How much change does {he} get"
          "[| back]?",
          "{name} has ${m}. {He} buys {a} {things} for ${p} each. How much money [is left|does "
          "{he} "
          "have left|remains]?",
          "[A|One|Each] {thing} costs {p} dollars. {name} buys {a} [of them|{things}] and gives "
          "the "
          "[cashier|seller] {m} dollars. How much change [does {he} get|should {he} get|is there]?",
          "{name} goes to the shop with {m} dollars and buys {a} {things}. Each {thing} costs {p} "
          "dollars. How much money does {he} have [left|now]?",
          "How much change does {name} get from ${m} [after buying|when {he} buys|if {he} buys] "
          "{a} {things} at ${p} each?",
          "{name} takes {m} dollars to the [shop|market]. {a} {things} cost {p} dollars each. "
          "[Find out how much {he} has left after buying them.|What is left after {he} buys them?]",
          "If {name} has ${m} and pays for {a} {things} at ${p} [each|per piece], how much [is "
          "left|does {he} keep]?",
          "{name} spends money on {a} {things}, each for {p} dollars. {He} had {m} dollars before. "
          "What [remains|is left]?",
          "What does {name} have left of ${m} after {he} buys {a} {things} that cost {p} dollars "
          "each?"],
         unseen=["After buying {a} {things} that cost ${p} each, how much of {his} ${m} does "
                 "{name} "
                 "still have?"])
def pay_for_many(draw):
    person, (thing, things) = draw.person(), draw.thing()
    a, p = draw.number(2, 30), draw.number(2, 60)
    m = a * p + draw.number(1, 200)
    cost = Step(f"{a} {things} cost", a, "×", p)
    return Plan(dict(who(person), a=a, p=p, m=m, thing=thing, things=things),
                f"{person.name} has {m} dollars.",
                [cost, Step("What is left", m, "-", cost.value)],
                f"{person.name} has {{}} dollars left.", holder=person, money=True)


@variant("pay",
         ["{name} has ${m}. {He} [buys|gets] a {thing} for ${p} and a {other} for ${q}. How much "
          "money [does {he} have left|is left|remains]?",
          "{name} buys a {thing} for {p} dollars and a {other} for {q} dollars. {He} pays with {m} "
          "dollars. How much change does {he} get[| back]?",
          "{name} spends ${p} on a {thing} and ${q} on a {other}. {He} had ${m}. How much [is|does "
          "{he} have] left?",
          "How much is left of ${m} [if|when] {name} buys a {thing} for ${p} and a {other} for "
          "${q}?",
          "If {name} has {m} dollars and pays {p} dollars for a {thing} and {q} dollars for a "
          "{other}, how much [remains|is left|does {he} keep]?",
          "A {thing} costs ${p} and a {other} costs ${q}. {name} pays for both with ${m}. [How "
          "much change is there|What is the change|How much does {he} get back]?",
          "With {m} dollars {name} goes shopping. {He} pays {p} dollars for a {thing}, then {q} "
          "dollars for a {other}. What is left?",
          "What does {name} have left of ${m} after {he} pays ${p} for a {thing} and ${q} for a "
          "{other}?"],
         unseen=["How much of {name}'s {m} dollars is left after {he} pays {p} dollars for a "
                 "{thing} "
                 "and {q} dollars for a {other}?"])
def pay_for_two(draw):
    person, (thing, _), (other, _) = draw.person(), *draw.things(2)
    p, q = draw.number(2, 400), draw.number(2, 400)
    m = p + q + draw.number(1, 300)
    cost = Step(f"The {thing} and the {other} cost", p, "+", q)
    return Plan(dict(who(person), p=p, q=q, m=m, thing=thing, other=other),
                f"{person.name} has {m} dollars.",
                [cost, Step("What is left", m, "-", cost.value)],
                f"{person.name} has {{}} dollars left.", holder=person, money=True)


# ---- share: equal parts

@variant("share",
         ["{name} has {n} {things} and [buys|gets|finds] {m} more. {He} shares them equally "
          "[among|between] {d} [friends|children|people]. How many {things} does each [get|receive|"
          "one get]?",
          "{name} and {friend} have {n} and {m} {things}. They [put them together and share|share] "
          "them equally among {d} [children|friends|people]. How many does each [get|one get]?",
          "{n} {things} and {m} more {things} are [shared|divided] equally among {d} [children|"
          "friends|students]. How many {things} does each [child|one|of them] get?",
          "{name} has {n} {things}. {friend} gives {him} {m} more. {He} divides them equally into "
          "{d} [bags|boxes|piles]. How many {things} are in each?",
          "If {n} {things} and {m} more are [shared|split|divided] [equally|evenly] "
          "[among|between] {d} [people|friends|children], how many does each get?",
          "How many {things} does each of {d} [children|friends|people] get if {name} shares {n} "
          "{things} and {m} more [equally|evenly] among them?",
          "{name} picks {n} {things} in the morning and {m} in the afternoon. {He} puts them "
          "equally into {d} [bags|boxes|baskets]. How many are in [each|one]?",
          "{d} [friends|children|players] share all {things} equally. There are {n} from {name} "
          "and {m} from {friend}. How many for each?",
          "{name} adds {m} {things} to {n} {things} and splits them into {d} equal parts. How many "
          "are in each part?",
          "All of {n} and {m} {things} go equally to {d} [people|friends|teams]. How many {things} "
          "does every one get?"],
         unseen=["If {name} adds {m} {things} to {his} {n} {things} and then splits all of them "
                 "equally between {d} friends, how many {things} does every friend receive?"])
def share_sum(draw):
    person, friend = draw.people(2)
    thing, things = draw.thing()
    d, each = draw.rng.randint(2, 12), draw.number(2, 80)
    total = d * each
    n = draw.rng.randint(1, total - 1)
    both = Step("All together", n, "+", total - n)
    return Plan(dict(who(person), n=n, m=total - n, d=d, thing=thing, things=things,
                     friend=friend.name),
                f"There are {n} {things} and {total - n} more.",
                [both, Step(f"Shared by {d}", both.value, "÷", d)],
                f"Each gets {{}} {things}.", noun=things)


@variant("share",
         ["{name} has {n} {things}. {He} [keeps|eats|gives away|loses] {g} and shares the rest "
          "equally [among|between] {d} [friends|children|people]. How many does each [get|one get|"
          "receive]?",
          "{name} has {n} {things} and [keeps|gives away|sells] {g} of them. The [rest|others] "
          "[is|are] divided equally among {d} [children|friends|students]. How many {things} does "
          "each one get?",
          "A teacher has {n} {things}. {g} are [broken|lost|old]. The rest are shared equally by "
          "{d} students. How many {things} does each student get?",
          "If {name} has {n} {things}, [keeps|eats|loses] {g} and splits the rest [equally|evenly] "
          "between {d} [friends|people], how many does each get?",
          "There were {n} {things}. {name} took {g}. {d} [children|friends] shared the others "
          "equally. How many did each get?",
          "How many {things} does each of {d} [friends|children] get if {g} of {n} {things} are "
          "[lost|kept|sold] and the rest is shared equally?",
          "{name} bakes {n} {things} and [burns|eats|drops] {g}. The rest goes in equal parts to "
          "{d} [people|tables|boxes]. How many are in each part?",
          "{name} takes {g} away from {n} {things} and splits what is left into {d} equal parts. "
          "How many are in each part?",
          "First {g} of {n} {things} are taken away. Then {d} [people|friends|teams] share what is "
          "left equally. How many {things} per person?",
          "What is left of {n} {things} after {g} are gone is shared by {d} people. How many for "
          "every one?"],
         unseen=["Out of {n} {things}, {name} first takes {g} away and then shares what is left "
                 "equally with {d} people. How many {things} per person is that?"])
def share_rest(draw):
    person, (thing, things) = draw.person(), draw.thing()
    d, each, g = draw.rng.randint(2, 12), draw.number(2, 80), draw.number(1, 99)
    rest = Step("What is left to share", d * each + g, "-", g)
    return Plan(dict(who(person), n=d * each + g, g=g, d=d, things=things),
                f"There are {d * each + g} {things}.",
                [rest, Step(f"Shared by {d}", rest.value, "÷", d)],
                f"Each gets {{}} {things}.", noun=things)


# ---- boxes: groups of one size, and some loose ones

@variant("boxes",
         ["{name} has {r} {boxes} with {n} {things} in each[| {box}] and {e} [loose|extra|more] "
          "{things}. How many {things} [are there|does {he} have][| in total| altogether]?",
          "There are {r} {boxes} of {n} {things} and {e} {things} on the table. How many {things} "
          "are there [in total|altogether|in all]?",
          "{name} buys {r} {boxes} of {things}. Each {box} [has|holds|contains] {n} {things}. {He} "
          "already [has|had] {e} {things}. How many {things} does {he} have now?",
          "Each {box} [holds|contains|has] {n} {things}. {name} fills {r} {boxes} and has {e} "
          "{things} left over. How many {things} [are there|does {he} have][| in all]?",
          "If {name} has {r} {boxes} of {n} {things} and {e} [more|other] {things}, how many "
          "{things} [are there|is that] [in total|altogether]?",
          "How many {things} are in {r} {boxes} [of|with] {n} {things} each and {e} [single|loose] "
          "ones [together|]?",
          "{n} {things} [fit|go] in one {box}. {name} fills {r} {boxes} and {e} {things} stay "
          "outside. How many {things} [are there|does {he} have]?",
          "{name} counts {e} {things} on the floor and {r} {boxes} with {n} {things} in each. "
          "[Find|Work out] how many {things} there are.",
          "There are {e} {things}. Then {r} {boxes} with {n} {things} each arrive. How many "
          "{things} are there now?",
          "What is the number of {things} in {r} {boxes} with {n} [in each|each], plus {e} "
          "[others|more]?",
          "{name} puts {n} {things} into every {box}. {r} {boxes} are full, and {e} {things} have "
          "no {box}. How many {things} are there?",
          "{r} {boxes} holding {n} {things} each and another {e} {things}: how many is that?"],
         unseen=["{name} packs {things} into {boxes}, {n} in every {box}. There are {r} full "
                 "{boxes} "
                 "and another {e} {things} without a {box}. Find the number of {things}."])
def boxes_and_loose(draw):
    person, (box, boxes), (thing, things) = (draw.person(), draw.pick(vocabulary.CONTAINERS),
                                             draw.thing())
    r, n, e = draw.number(2, 40), draw.number(2, 60), draw.number(2, 200)

    def plan(r):
        inside = Step(f"In the {boxes}", r, "×", n)
        return Plan(dict(who(person), r=r, n=n, e=e, box=box, boxes=boxes, things=things),
                    f"There are {r} {boxes} with {n} {things} each.",
                    [inside, Step(f"With the {e} others", inside.value, "+", e)],
                    f"There are {{}} {things}.", noun=things, holder=person)

    result = plan(r)
    more = r + draw.rng.randint(1, 4)
    result.what_if.append((draw.pick([f"What if there were {more} {boxes}?",
                                      f"And with {more} {boxes} instead of {r}?"]), plan(more)))
    return result


@variant("boxes",
         ["{name} has {r} {boxes} with {n} {things} [each|in each]. {He} [gives "
          "away|sells|uses|loses]"
          " {e} {things}. How many {things} [are left|does {he} have left|remain]?",
          "There are {n} {things} in each of {r} {boxes}. {name} takes {e} {things}. How many "
          "{things} are left?",
          "A shop [has|gets] {r} {boxes} of {things}, {n} [in each|in every {box}]. It sells {e} "
          "{things}. How many {things} [are left|does it have left|remain]?",
          "If there are {r} {boxes} [of|with] {n} {things} and {e} {things} are "
          "[sold|taken|lost|broken], how many [are left|remain]?",
          "How many {things} are left when {name} takes {e} out of {r} {boxes} with {n} {things} "
          "each?",
          "{name} fills {r} {boxes} with {n} {things} [each|per {box}]. Later {e} {things} are "
          "[sold|eaten|used]. [Find|Work out] how many remain.",
          "{e} {things} are missing from {r} {boxes} that [had|held] {n} {things} each. How many "
          "are still there?",
          "A shop has {r} {boxes} of {n} {things}. {e} {things} are [bad|used|given away]. How "
          "many [good |other |]{things} are left?",
          "What is the number of {things} left in {r} {boxes} with {n} each if {e} are "
          "[gone|sold|taken]?",
          "{r} {boxes} hold {n} {things} each. From these, {e} {things} are "
          "[gone|lost|eaten|sold]. How many {things} remain?",
          "{name} takes {e} {things} from {r} {boxes}, {n} in every {box}. What is left?"],
         unseen=["From {r} {boxes} holding {n} {things} each, {e} {things} are sold. What number "
                 "of "
                 "{things} remains?"])
def boxes_and_taken(draw):
    person, (box, boxes), (thing, things) = (draw.person(), draw.pick(vocabulary.CONTAINERS),
                                             draw.thing())
    r, n = draw.number(2, 40), draw.number(2, 60)
    e = draw.number(1, r * n - 1)
    inside = Step(f"In the {boxes}", r, "×", n)
    return Plan(dict(who(person), r=r, n=n, e=e, box=box, boxes=boxes, things=things),
                f"There are {r} {boxes} with {n} {things} each.",
                [inside, Step(f"Without the {e}", inside.value, "-", e)],
                f"There are {{}} {things} left.", noun=things, holder=person)


# ---- fraction

FRACTIONS = {2: ["half"], 3: ["a third", "one third"], 4: ["a quarter", "one quarter"],
             5: ["a fifth", "one fifth"], 10: ["a tenth", "one tenth"]}


@variant("fraction",
         ["{name} has {n} {things}. {He} gives {part} of them to {friend}. How many {things} [are "
          "left|does {he} have left|does {name} keep]?",
          "There are {n} {things} in the {place}. {part} of them are [sold|lost|broken|red|old]. "
          "How "
          "many [are not|of them are not]?",
          "{name} has {n} {things} and [loses|sells|uses|gives away] {part} of them. How many "
          "{things} [are left|remain|does {he} still have]?",
          "If {name} has {n} {things} and [gives away|sells|loses|eats] {part} of them, how many "
          "[are left|remain]?",
          "How many {things} are left of {n} when {name} [gives away|sells|uses] {part} of them?",
          "{part} of {name}'s {n} {things} [break|are sold|are lost|get lost]. [Find how many {he} "
          "has left.|How many are still there?]",
          "{name} [sells|gives {friend}] {part} of {n} {things}. What is left?",
          "{name} had {n} {things}, but {part} of them [are gone|break|are taken]. What number of "
          "{things} does {he} keep?"],
         unseen=["If {name} parts with {part} of {his} {n} {things}, how many {things} does {he} "
                 "keep?"])
def fraction_left(draw):
    person, friend = draw.people(2)
    _, things = draw.thing()
    d = draw.pick(list(FRACTIONS))
    n = d * draw.number(2, 90)
    part = draw.pick(FRACTIONS[d])
    taken = Step(f"{part} of them".capitalize(), n, "÷", d)
    return Plan(dict(who(person), friend=friend.name, n=n, things=things, part=part,
                     place=draw.pick(vocabulary.PLACES)),
                f"There are {n} {things}.", [taken, Step("What is left", n, "-", taken.value)],
                f"There are {{}} {things} left.", noun=things, holder=person)


@variant("fraction",
         ["{name} has {n} {things}. {He} [gives|sells] {part} of them [away|to {friend}] and then "
          "[buys|gets|finds] {m} more. How many {things} does {he} have [now|in the end]?",
          "{name} [eats|uses|loses|gives away] {part} of {his} {n} {things}, then gets {m} more. "
          "How many {things} does {he} have now?",
          "If {name} has {n} {things}, [sells|loses|gives away] {part} of them and [buys|gets] {m} "
          "more, how many {things} [are there|does {he} have]?",
          "How many {things} does {name} have after {he} [loses|sells|gives away] {part} of {n} "
          "{things} and [gets|finds|buys] {m}?",
          "{name} had {n} {things}. {part} of them [break|are sold|get lost]. {He} buys {m} new "
          "ones. [Find how many there are.|How many are there now?]",
          "What does {name} have if {part} of {his} {n} {things} are gone and {m} new ones come?"],
         unseen=["What is the number of {things} if {name} starts with {n}, gives away {part} of "
                 "them "
                 "and then buys another {m}?"])
def fraction_and_more(draw):
    person, friend = draw.people(2)
    _, things = draw.thing()
    d, m = draw.pick(list(FRACTIONS)), draw.number(2, 200)
    n = d * draw.number(2, 90)
    part = draw.pick(FRACTIONS[d])
    taken = Step(f"{part} of them".capitalize(), n, "÷", d)
    left = Step("What is left", n, "-", taken.value)
    return Plan(dict(who(person), friend=friend.name, n=n, m=m, things=things, part=part),
                f"{person.name} starts with {n} {things}.",
                [taken, left, Step(f"With {m} more", left.value, "+", m)],
                f"{person.name} has {{}} {things} now.", noun=things, holder=person)


# ---- packs: whole packs and leftovers

@variant("packs",
         ["{name} has {n} {things} and [buys|gets|finds] {m} more. {He} puts them into {boxes} of "
          "{d}"
          ". How many {things} are left over?",
          "{n} {things} and {m} more {things} are put into {boxes} of {d}. How many {things} are "
          "left "
          "over?",
          "If {name} has {n} {things} and {m} more and packs them in {boxes} of {d}, how many are "
          "left over?",
          "How many {things} are left over when {n} and {m} {things} are put into {boxes} of {d}?",
          "{name} finds {n} {things}, then {m}. Each {box} takes {d}. {He} fills as many {boxes} "
          "as {he} can. How many {things} remain outside?",
          "What is the number of {things} that remain if {n} and another {m} are packed into "
          "{boxes} of {d}?",
          "A {box} holds {d} {things}. {name} has {n} {things} and another {m}. How many do not go "
          "into a full {box}?",
          "{name} packs {n} plus {m} {things}, {d} in every {box}. How many {things} are without a "
          "{box}?"],
         unseen=["When {name} packs {n} and another {m} {things} into {boxes} that hold {d} each, "
                 "how "
                 "many {things} do not fit in a full {box}?"])
def packs_left_over(draw):
    person, (box, boxes), (_, things) = (draw.person(), draw.pick(vocabulary.CONTAINERS),
                                         draw.thing())
    d, n, m = draw.rng.randint(3, 12), draw.number(5, 400), draw.number(3, 200)
    both = Step("All together", n, "+", m)
    return Plan(dict(who(person), n=n, m=m, d=d, things=things, box=box, boxes=boxes),
                f"There are {n} {things} and {m} more.",
                [both, Step(f"In {boxes} of {d}", both.value, "%", d)],
                f"{{}} {things} are left over.", noun=things)


@variant("packs",
         ["{name} has {n} {things} and [buys|gets|finds] {m} more. {He} puts them into {boxes} of "
          "{d}"
          ". How many full {boxes} [are there|does {he} get]?",
          "How many full {boxes} of {d} can {name} make from {n} {things} and {m} more {things}?",
          "If {name} has {n} {things} and {m} more and packs them in {boxes} of {d}, how many "
          "{boxes} are full?",
          "How many {boxes} are full when {n} and {m} {things} are put into {boxes} of {d}?",
          "{name} finds {n} {things}, then {m}. Each {box} takes {d}. How many {boxes} can {he} "
          "fill?",
          "What is the number of full {boxes} if {n} and another {m} {things} are packed into "
          "{boxes} of {d}?",
          "A {box} holds {d} {things}. {name} has {n} {things} and another {m}. How many {boxes} "
          "get full?",
          "{name} packs {n} plus {m} {things}, {d} in every {box}. How many {boxes} are full?"],
         unseen=["{name} packs {n} and another {m} {things} into {boxes} that hold {d} each. Find "
                 "the "
                 "number of full {boxes}."])
def packs_full(draw):
    person, (box, boxes), (_, things) = (draw.person(), draw.pick(vocabulary.CONTAINERS),
                                         draw.thing())
    d, n, m = draw.rng.randint(3, 12), draw.number(12, 400), draw.number(3, 200)
    both = Step("All together", n, "+", m)
    return Plan(dict(who(person), n=n, m=m, d=d, things=things, box=box, boxes=boxes),
                f"There are {n} {things} and {m} more.",
                [both, Step(f"In {boxes} of {d}", both.value, "//", d)],
                f"There are {{}} full {boxes}.", noun=boxes)
