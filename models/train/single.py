"""Word problems of one step: what people try first."""

from plan import Plan, Step, variant, who
import vocabulary


def _one(draw, slots, given, step, sentence, **more):
    return Plan(slots, given, [step], sentence, **more)


@variant("single",
         ["{name} has {a} {things}[ and| and then|, and] {verb} {b}. How many {things} [does {he} "
          "have|does {he} have now|are left|remain]?",
          "{name} [has|had|owns] {a} {things}. {He} {verb} {b}. How many [does {he} have|are "
          "left|are there|remain|now]?",
          "If {name} has {a} {things} and {verb} {b}, how many [does {he} have|are left]?",
          "How many {things} does {name} have [left |now |]if {he} has {a} and {verb} {b}?",
          "{name} [makes|bakes|buys|finds|picks|draws] {a} {things} and {verb} {b}. How many are "
          "there?"],
         unseen=["{name} began the day with {a} {things}, but {verb} {b}. Give the number of "
                 "{things} that {he} still owns."])
def loses_some(draw):
    person, (_, things) = draw.person(), draw.thing()
    a = draw.number(3, 999)
    b = draw.number(1, a - 1)
    verb = draw.pick("eats loses sells drops uses spends breaks returns forgets".split()
                     + ["gives away", "throws away", "uses up", "gives me", "gives his friend"])
    verb = verb.replace("his", person.his)
    return _one(draw, dict(who(person), a=a, b=b, verb=verb, things=things),
                f"{person.name} starts with {a} {things}.",
                Step(f"{person.He} {verb} {b}", a, "-", b),
                f"{person.name} has {{}} {things} left.", holder=person, noun=things)


@variant("single",
         ["{name} has {a} {things}[ and| and then|, and] {verb} {b}[| more]. How many {things} [does "
          "{he} have|does {he} have now|are there]?",
          "{name} [has|had|owns] {a} {things}. {He} {verb} {b}[| more]. How many [does {he} have|are "
          "there|now|are there now]?",
          "If {name} has {a} {things} and {verb} {b} more, how many [does {he} have|are there]?",
          "How many {things} does {name} have [now |]if {he} has {a} and {verb} {b}[| more]?",
          "{name} [makes|bakes|buys|finds|picks|draws] {a} {things} and [then|later] {b} more. How "
          "many are there?"],
         unseen=["{name} began the day with {a} {things}, and later {he} {verb} {b}. Give the number "
                 "of {things} that {he} owns then."])
def gets_some(draw):
    person, (_, things) = draw.person(), draw.thing()
    a, b = draw.number(2, 999), draw.number(1, 999)
    verb = draw.pick("buys finds gets makes wins bakes earns catches draws plants picks".split())
    return _one(draw, dict(who(person), a=a, b=b, verb=verb, things=things),
                f"{person.name} starts with {a} {things}.",
                Step(f"{person.He} {verb} {b}", a, "+", b),
                f"{person.name} has {{}} {things} now.", holder=person, noun=things)


@variant("single",
         ["A {car} [travels|goes|drives] {v} km per hour for {t} hours. How far does it go?",
          "{name} [drives|travels|walks|rides] {v} km per hour for {t} hours. How [far|many km] does "
          "{he} go?",
          "How far does a {car} go in {t} hours at {v} km per hour?",
          "{name} [walks|runs|drives] for {t} hours at {v} km per hour. [What is the distance?|How "
          "many km is that?]",
          "If a {car} goes {v} miles per hour, how many miles does it go in {t} hours?"],
         unseen=["With {v} km per hour, where is a {car} after {t} hours? Give the distance."])
def distance(draw):
    person = draw.person()
    v, t = draw.number(3, 150), draw.rng.randint(2, 12)
    return _one(draw, dict(who(person), v=v, t=t, car=draw.pick("car train bus bike plane".split())),
                f"{t} hours at {v}.", Step("The distance", v, "×", t), "The distance is {}.")


@variant("single",
         ["How long does a {car} need for {n} km at {v} km per hour?",
          "{name} [drives|travels|walks] {n} km at {v} km per hour. How many hours does {he} need?",
          "A {car} goes {v} km in one hour. How many hours does it need for {n} km?"],
         unseen=["Give the time for {n} km at {v} km per hour in hours."])
def hours(draw):
    person = draw.person()
    v, t = draw.rng.randint(2, 12), draw.number(2, 60)
    return _one(draw, dict(who(person), v=v, n=v * t, car=draw.pick("boat cart bike bus".split())),
                f"{v * t} at {v} per hour.", Step("The hours", v * t, "÷", v), "It takes {} hours.")


@variant("single",
         ["How much do {a} {things} cost at ${p} each?", "One {thing} costs ${p}. How much do {a} "
          "{things} cost?",
          "{name} buys {a} {things} for ${p} each. How much does {he} pay[| in total]?",
          "What do {a} {things} cost if one costs {p} dollars?",
          "If a {thing} costs {p} dollars, how much are {a} {things}?"],
         unseen=["Give the price of {a} {things} when each of them is ${p}."])
def price(draw):
    person, (thing, things) = draw.person(), draw.thing()
    a, p = draw.number(2, 99), draw.number(2, 99)
    return _one(draw, dict(who(person), a=a, p=p, thing=thing, things=things),
                f"{a} {things} at {p} dollars each.", Step("The cost", a, "×", p),
                "The cost is {} dollars.", money=True)


@variant("single",
         ["{a} {things} cost {n} dollars. How much does one {thing} cost?",
          "{name} pays ${n} for {a} {things}. [How much is one {thing}?|What does each {thing} "
          "cost?]",
          "If {a} {things} cost ${n}, what does one cost?"],
         unseen=["Give the price of one {thing} when {a} of them are ${n}."])
def unit_price(draw):
    person, (thing, things) = draw.person(), draw.thing()
    a, p = draw.rng.randint(2, 12), draw.number(2, 80)
    return _one(draw, dict(who(person), a=a, n=a * p, thing=thing, things=things),
                f"{a} {things} cost {a * p} dollars.", Step("One costs", a * p, "÷", a),
                "One costs {} dollars.", money=True)


@variant("single",
         ["{name} has ${m} and [spends|pays|loses] ${p}. How much [is left|does {he} have left|money "
          "is left|remains]?",
          "{name} has {m} dollars. {He} buys a {thing} for {p} dollars. How much [is left|money does "
          "{he} have|does {he} have left]?",
          "How much change does {name} get from {m} dollars for a {thing} of {p} dollars?",
          "A {thing} costs ${p}. {name} pays with ${m}. [How much change does {he} get?|What is the "
          "change?]",
          "If {name} has {m} dollars and spends {p} dollars, how much is left?"],
         unseen=["{name} takes ${p} for a {thing} out of {his} ${m}. Give what is still there."])
def spends(draw):
    person, (thing, _) = draw.person(), draw.thing()
    m = draw.number(3, 999)
    p = draw.number(1, m - 1)
    return _one(draw, dict(who(person), m=m, p=p, thing=thing), f"{person.name} has {m} dollars.",
                Step("What is left", m, "-", p), f"{person.name} has {{}} dollars left.",
                holder=person, money=True)


@variant("single",
         ["There are {r} {boxes} with {n} {things} [each|in each]. How many {things} are there[| in "
          "total| in all]?",
          "{name} has {r} {boxes} of {n} {things}. How many {things} does {he} have?",
          "How many {things} are in {r} {boxes} [of|with] {n}[| {things} each]?",
          "Each {box} [has|holds] {n} {things}. How many {things} do {r} {boxes} [have|hold]?",
          "If one {box} has {n} {things}, how many do {r} {boxes} have?"],
         unseen=["{r} {boxes} are full with {n} {things} per {box}. Give the number of {things}."])
def in_boxes(draw):
    person, (box, boxes), (_, things) = (draw.person(), draw.pick(vocabulary.CONTAINERS),
                                         draw.thing())
    r, n = draw.number(2, 99), draw.number(2, 99)
    return _one(draw, dict(who(person), r=r, n=n, box=box, boxes=boxes, things=things),
                f"There are {r} {boxes} with {n} {things} each.", Step("All together", r, "×", n),
                f"There are {{}} {things}.", noun=things, holder=person)


@variant("single",
         ["{name} shares {n} {things} [equally |]among {d} [friends|children|people]. How many does "
          "each get?",
          "{n} {things} are [shared|divided|split] equally among {d} [friends|children|people]. How "
          "many does each [get|one get]?",
          "{d} [friends|children|people] share {n} {things} equally. How many does each [get|have]?",
          "If {d} people share {n} {things}, how many does each get?",
          "{name} puts {n} {things} equally into {d} {boxes}. How many are in each {box}?"],
         unseen=["For {d} people there are {n} {things}, the same for everyone. Give one part."])
def shares(draw):
    person, (box, boxes), (_, things) = (draw.person(), draw.pick(vocabulary.CONTAINERS),
                                         draw.thing())
    d, each = draw.rng.randint(2, 12), draw.number(2, 99)
    return _one(draw, dict(who(person), n=d * each, d=d, things=things, box=box, boxes=boxes),
                f"There are {d * each} {things}.", Step(f"Shared by {d}", d * each, "÷", d),
                f"Each gets {{}} {things}.", noun=things)


@variant("single",
         ["{name} [earns|gets|makes] {w} dollars [an|per] hour. How much does {he} [earn|get|make] in "
          "{h} hours?",
          "How much does {name} earn in {h} hours at ${w} [an|per] hour?",
          "{name} works {h} hours for ${w} per hour. How much [does {he} earn|is that]?"],
         unseen=["Give the pay of {name} for {h} hours if one hour is worth ${w}."])
def wage(draw):
    person = draw.person()
    w, h = draw.number(3, 99), draw.number(2, 60)
    return _one(draw, dict(who(person), w=w, h=h),
                f"{person.name} works {h} hours for {w} dollars.", Step("The wage", w, "×", h),
                f"{person.name} earns {{}} dollars.", holder=person, money=True)


@variant("single",
         ["{name} is {c} years old. {friend} is {d} years {older}. How old is {friend}?",
          "{name} is {c}. {friend} is {d} years {older} than {name}. How old is {friend}?",
          "How old is {friend} if {name} is {c} and {friend} is {d} years {older}?",
          "If {name} is {c} and {friend} is {d} years {older}, how old is {friend}?"],
         unseen=["{friend} is {d} years {older} than {name}. {name} is {c}. Give {friend}'s age."])
def age(draw):
    person, friend = draw.people(2)
    c, is_older = draw.rng.randint(4, 70), draw.rng.random() < 0.5
    d = draw.rng.randint(1, 30 if is_older else c - 1)
    older = "older" if is_older else "younger"
    return _one(draw, dict(who(person), friend=friend.name, c=c, d=d, older=older),
                f"{person.name} is {c}.",
                Step(f"{friend.name} is {d} years {older}", c, "+" if is_older else "-", d),
                f"{friend.name} is {{}} years old.")


@variant("single",
         ["{name} is {c} years old. How old [will {he} be|is {he}] in {d} years?",
          "How old will {name} be in {d} years if {he} is {c} now?",
          "{name} is {c}. What is {his} age in {d} years?"],
         unseen=["Give the age of {name} in {d} years, if it is {c} now."])
def age_later(draw):
    person = draw.person()
    c, d = draw.rng.randint(4, 70), draw.rng.randint(1, 40)
    return _one(draw, dict(who(person), c=c, d=d), f"{person.name} is {c}.",
                Step(f"In {d} years", c, "+", d), f"{person.name} will be {{}} years old.")


@variant("single",
         ["{name} has {n} {things} and {friend} has {k}. How many more does {name} have?",
          "{name} has {n} {things}. {friend} has {k}. How many more [{things} |]does {name} have than "
          "{friend}?",
          "What is the difference if {name} has {n} {things} and {friend} has {k}?",
          "{friend} has {k} {things}, {name} has {n}. How many fewer does {friend} have?"],
         unseen=["{friend} owns {k} {things} and {name} {n}. Give how many {friend} lacks."])
def difference(draw):
    person, friend = draw.people(2)
    _, things = draw.thing()
    n = draw.number(3, 999)
    k = draw.number(1, n - 1)
    return _one(draw, dict(who(person), friend=friend.name, n=n, k=k, things=things),
                f"{n} {things} and {k} {things}.", Step("The difference", n, "-", k),
                f"The difference is {{}} {things}.", noun=things)


@variant("single",
         ["{name} needs {n} {things} and has {k}. How many [more |]does {he} need?",
          "{name} has {k} {things} and wants {n}. How many more does {he} need?",
          "How many {things} are missing if {name} has {k} of {n}?",
          "{name} had {n} {things}. Now {he} has {k}. How many [are gone|did {he} lose|did {he} give "
          "away|did {he} eat]?"],
         unseen=["Give the number of {things} that {name} lacks, with {k} of {n} there."])
def missing(draw):
    person, (_, things) = draw.person(), draw.thing()
    n = draw.number(3, 999)
    k = draw.number(1, n - 1)
    return _one(draw, dict(who(person), n=n, k=k, things=things), f"{k} of {n} {things}.",
                Step("The difference", n, "-", k), f"It is {{}} {things}.", noun=things)


UNITS = [("minutes", "hours", 60), ("hours", "days", 24), ("days", "weeks", 7),
         ("seconds", "minutes", 60), ("months", "years", 12), ("eggs", "dozens of eggs", 12),
         ("cents", "dollars", 100), ("meters", "kilometers", 1000), ("legs", "dogs", 4),
         ("wheels", "cars", 4), ("legs", "spiders", 8), ("fingers", "hands", 5)]


@variant("single",
         ["How many {small} are {n} {large}?", "How many {small} do {n} {large} have?",
          "{n} {large} are how many {small}?"],
         unseen=["Give {n} {large} in {small}."])
def units(draw):
    small, large, size = draw.pick(UNITS)
    n = draw.number(2, 90)
    return _one(draw, dict(small=small, large=large, n=n), f"{size} {small} each.",
                Step(f"For {n}", n, "×", size), f"It is {{}} {small}.", noun=small)


@variant("single",
         ["What is the area of a {field} of {l} m by {w} m?",
          "A {field} is {l} m long and {w} m wide. What is its area?",
          "How many square meters has a {field} that is {l} m long and {w} m wide?"],
         unseen=["Give the area of a {field}, {l} m in length and {w} m in width."])
def area(draw):
    l, w = draw.number(2, 99), draw.number(2, 99)
    field = draw.pick("garden field room park yard rectangle carpet".split())
    return _one(draw, dict(l=l, w=w, field=field), f"The sides are {l} and {w}.",
                Step("The area", l, "×", w), "The area is {}.")


@variant("single",
         ["{name} reads {p} pages [a|per|each] day. How many pages does {he} read in {d} days?",
          "How many {things} does {name} {make} in {d} days at {p} a day?",
          "{name} {makes} {p} {things} [a|per|each|every] day. How many is that in {d} days?",
          "{name} {makes} {p} {things} [an|per|each|every] hour. How many is that in {d} hours?",
          "A machine makes {p} {things} [a|per] minute. How many does it make in {d} minutes?"],
         unseen=["Give what {name} {makes} in {d} days, with {p} {things} on each day."])
def per_day(draw):
    person, (_, things) = draw.person(), draw.thing()
    p, d = draw.number(2, 99), draw.number(2, 40)
    make = draw.pick("make sell eat find collect".split())
    return _one(draw, dict(who(person), p=p, d=d, things=things, make=make, makes=make + "s"),
                f"{p} each time, {d} times.", Step("All together", p, "×", d), "It is {}.")
