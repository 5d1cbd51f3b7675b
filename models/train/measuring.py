"""Word problems about measures: ages, sides, prices, recipes, averages, people on a bus."""

from plan import Plan, Step, variant, who


# ---- ages

def _ages(draw, older):
    person, friend, third = draw.people(3)
    c, k = draw.rng.randint(2, 20), draw.rng.randint(2, 4)
    d = draw.rng.randint(1, 20 if older else c * k - 1)
    times = Step(f"{friend.name} is {k} times {c}", c, "×", k)
    return Plan(dict(who(person), friend=friend.name, third=third.name, c=c, k=k, d=d,
                     times="twice" if k == 2 and draw.rng.random() < 0.7 else
                     f"{draw.say(k)} times"),
                f"{person.name} is {c}.",
                [times, Step(f"{third.name} is {d} years {'older' if older else 'younger'}",
                             times.value, "+" if older else "-", d)],
                f"{third.name} is {{}} years old.")


@variant("ages",
         ["{name} is {c} years old. {friend} is {times} as old as {name}. {third} is {d} years "
          "older "
          "than {friend}. How old is {third}?",
          "{friend} is {times} as old as {name}, and {third} is {d} years older than {friend}. "
          "{name} is {c}[| years old]. How old is {third}?",
          "{third} is {d} years older than {friend}. {friend} is {times} as old as {name}, who is "
          "{c}. [How old is {third}|What is {third}'s age]?",
          "If {name} is {c}, {friend} is {times} as old as {name} and {third} is {d} years older "
          "than {friend}, how old is {third}?",
          "How old is {third} if {third} is {d} years older than {friend}, {friend} is {times} as "
          "old as {name} and {name} is {c}?",
          "{name} is {c}. {friend}'s age is {times} {name}'s age. {third} is {d} years older than "
          "{friend}. [Find|Work out] how old {third} is.",
          "{third} is {d} years older than {friend}. {friend} is {times} as old as {name}. If "
          "{name} is {c}, find the age of {third}.",
          "What is {third}'s age if {name} is {c}, {friend} {times} as old and {third} {d} years "
          "older than {friend}?"],
         unseen=["Find the age of {third}, who is {d} years older than {friend}, if {friend} is "
                 "{times} as old as {name} and {name} is {c}."])
def ages_older(draw):
    return _ages(draw, True)


@variant("ages",
         ["{name} is {c} years old. {friend} is {times} as old as {name}. {third} is {d} years "
          "younger than {friend}. How old is {third}?",
          "{friend} is {times} as old as {name}, and {third} is {d} years younger than {friend}. "
          "{name} is {c}[| years old]. How old is {third}?",
          "{third} is {d} years younger than {friend}. {friend} is {times} as old as {name}, who "
          "is "
          "{c}. [How old is {third}|What is {third}'s age]?",
          "If {name} is {c}, {friend} is {times} as old as {name} and {third} is {d} years younger "
          "than {friend}, how old is {third}?",
          "How old is {third} if {third} is {d} years younger than {friend}, {friend} is {times} "
          "as old as {name} and {name} is {c}?",
          "{name} is {c}. {friend}'s age is {times} {name}'s age. {third} is {d} years younger "
          "than {friend}. [Find|Work out] how old {third} is.",
          "{third} is {d} years younger than {friend}. {friend} is {times} as old as {name}. If "
          "{name} is {c}, find the age of {third}.",
          "What is {third}'s age if {name} is {c}, {friend} {times} as old and {third} {d} years "
          "younger than {friend}?"],
         unseen=["What is the age of {third} if {name} is {c}, {friend} is {times} as old as "
                 "{name} "
                 "and {third} is {d} years younger than {friend}?"])
def ages_younger(draw):
    return _ages(draw, False)


@variant("ages",
         ["{name} is {c} years old and {friend} is {d} years older. How old will they be together "
          "in {y} years?",
          "{name} is {c}. {friend} is {d} years older than {name}. What will be the sum of their "
          "ages in {y} years?",
          "If {name} is {c} and {friend} is {d} years older, how old are they together in {y} "
          "years?",
          "{friend} is {d} years older than {name}, who is {c}[| years old]. Find the sum of their "
          "ages in {y} years.",
          "How old will {name} and {friend} be together in {y} years if {name} is {c} now and "
          "{friend} is {d} years older?",
          "{name} is {c} now and {friend} is {d} years older. In {y} years, what is the sum of "
          "their ages?",
          "What do the ages of {name} and {friend} add up to in {y} years? {name} is {c}, {friend} "
          "is {d} years older."],
         unseen=["In {y} years, what do the ages of {name} and {friend} add up to, if {name} is "
                 "{c} "
                 "now and {friend} is {d} years older?"])
def ages_sum(draw):
    person, friend = draw.people(2)
    c, d, y = draw.rng.randint(3, 60), draw.rng.randint(1, 20), draw.rng.randint(2, 15)
    other = Step(f"{friend.name} is now", c, "+", d)
    mine = Step(f"{person.name} will be", c, "+", y)
    theirs = Step(f"{friend.name} will be", other.value, "+", y)
    return Plan(dict(who(person), friend=friend.name, c=c, d=d, y=y), f"{person.name} is {c}.",
                [other, mine, theirs, Step("Together", mine.value, "+", theirs.value)],
                "Together they will be {} years old.")


# ---- rectangle

FIELDS = ["garden", "field", "room", "park", "yard", "playground", "table", "rectangle", "carpet"]


@variant("rectangle",
         ["A [rectangular |]{field} is {l} m long and {w} m wide. What is its perimeter?",
          "[Find|What is] the perimeter of a {field} that is {l} meters long and {w} meters wide.",
          "{name}'s {field} is a rectangle of {l} m by {w} m. How long is the [fence|line|rope] "
          "around it?",
          "How many meters of fence does {name} need [for|around] a {field} of {l} meters by {w} "
          "meters?",
          "If a {field} is {l} m long and {w} m wide, [what is its perimeter|how long is its "
          "border|how long is the way around it]?",
          "A {field} has a length of {l} [m|meters] and a width of {w} [m|meters]. [Find|Work out] "
          "the perimeter.",
          "How far is it around a {field} of {l} m by {w} m?",
          "{name} puts a [fence|rope|line] around a {field}. It is {l} meters long and {w} meters "
          "wide. How many meters [are needed|does {he} need]?",
          "What is the way around a {field} with a length of {l} m and a width of {w} m?",
          "{name} walks around a {field} of {l} m by {w} m. How many meters is that?"],
         unseen=["{name} walks once around a {field} that measures {l} m in length and {w} m in "
                 "width. How far does {he} walk?"])
def perimeter(draw):
    person = draw.person()
    l, w = draw.number(3, 400), draw.number(2, 300)
    half = Step("Length and width", l, "+", w)
    return Plan(dict(who(person), l=l, w=w, field=draw.pick(FIELDS)),
                f"The sides are {l} and {w}.", [half, Step("Both twice", half.value, "×", 2)],
                "The perimeter is {}.")


@variant("rectangle",
         ["A [rectangular |]{field} is {l} m long and {w} m wide. [One square meter|A square meter|"
          "Each square meter] of {stuff} costs ${p}. How much does the {stuff} cost?",
          "{name} covers a {field} of {l} m by {w} m with {stuff} at {p} dollars per square meter. "
          "What is the cost?",
          "If {stuff} costs {p} dollars per square meter, how much does {name} pay for a {field} "
          "of {l} m by {w} m?",
          "How much does {stuff} for a {field} of {l} m by {w} m cost at ${p} per square meter?",
          "A {field} has a length of {l} m and a width of {w} m. Find the cost of {stuff} at {p} "
          "dollars per square meter."],
         unseen=["What does {name} pay for {stuff} at ${p} per square meter if the {field} has a "
                 "length of {l} m and a width of {w} m?"])
def area_cost(draw):
    person = draw.person()
    l, w, p = draw.number(2, 40), draw.number(2, 30), draw.rng.randint(2, 12)
    area = Step("The area", l, "×", w)
    return Plan(dict(who(person), l=l, w=w, p=p, field=draw.pick(FIELDS),
                     stuff=draw.pick(["grass", "paint", "carpet", "wood", "stone", "paper"])),
                f"The sides are {l} and {w}.", [area, Step(f"At {p} dollars", area.value, "×", p)],
                "The cost is {} dollars.", money=True)


# ---- discount

@variant("discount",
         ["A {thing} costs ${p}. [There is a discount of {q}%|It is {q}% off|The price is reduced "
          "by "
          "{q}%]. [What is the new price|How much does it cost now|What does {name} pay]?",
          "{name} buys a {thing} that costs {p} dollars with a {q}% discount. [How much does {he} "
          "pay|What does {he} pay|What is the price]?",
          "The price of a {thing} is ${p}. {name} gets {q}% off. How much does {he} pay?",
          "If a {thing} costs ${p} and is {q}% off, [how much is it now|what is the price|how much "
          "does {name} pay]?",
          "How much does {name} pay for a {thing} of ${p} with {q}% off?",
          "A {thing} was {p} dollars. Now it is {q}% cheaper. [Find the new price.|What does it "
          "cost?|How much is it?]",
          "A shop sells a {thing} for {p} dollars and [gives|takes] {q} percent [discount|off]. "
          "What is the price [now|then]?"],
         unseen=["What is the sale price of a {thing} of {p} dollars when the shop takes {q} "
                 "percent "
                 "off?"])
def discount(draw):
    person, (thing, _) = draw.person(), draw.thing(False)
    p = draw.rng.randint(1, 45) * 20
    q = draw.pick([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 75, 80, 90])
    whole = Step(f"{q} percent of {p} is {p} times {q} over 100", p, "×", q)
    part = Step("Over 100", whole.value, "÷", 100)
    return Plan(dict(who(person), p=p, q=q, thing=thing), f"The {thing} costs {p} dollars.",
                [whole, part, Step("The new price", p, "-", part.value)],
                "The new price is {} dollars.", money=True)


# ---- recipe

@variant("recipe",
         ["{a} cups of {stuff} make {b} {things}. How many cups [of {stuff} |]does {name} need for "
          "{c} {things}?",
          "{name} needs {a} cups of {stuff} for {b} {things}. How many cups [are needed|does {he} "
          "need] for {c} {things}?",
          "A recipe [needs|uses|takes] {a} cups of {stuff} for {b} {things}. {name} wants to make "
          "{c} {things}. How many cups of {stuff} does {he} need?",
          "If {a} cups of {stuff} make {b} {things}, how many cups make {c} {things}?",
          "How many cups of {stuff} does {name} need for {c} {things} if {a} cups are enough for "
          "{b}?",
          "For {b} {things} {name} takes {a} cups of {stuff}. {He} bakes {c} {things}. [Find the "
          "cups of {stuff}.|How many cups is that?]",
          "You need {a} cups of {stuff} to make {b} {things}. What is the number of cups for {c} "
          "{things}?",
          "{b} {things} need {a} cups of {stuff}. How many cups do {c} {things} need?",
          "With {a} cups of {stuff} {name} gets {b} {things}. {He} wants {c}. How many cups [are "
          "needed|must {he} take]?",
          "How much {stuff} for {c} {things}, if {b} {things} need {a} cups?"],
         unseen=["To get {b} {things} you need {a} cups of {stuff}. What number of cups gives {c} "
                 "{things}?"])
def recipe(draw):
    person, (_, things) = draw.person(), draw.thing(True)
    a, b, k = draw.rng.randint(2, 12), draw.rng.randint(2, 12), draw.number(2, 20)
    stuff = draw.pick(["flour", "sugar", "milk", "butter", "water", "rice", "cream"])
    times = Step(f"{b * k} is how many times {b}", b * k, "÷", b)
    return Plan(dict(who(person), a=a, b=b, c=b * k, things=things, stuff=stuff),
                f"{a} cups make {b} {things}.",
                [times, Step(f"So the cups for {b * k}", a, "×", times.value)],
                f"{{}} cups of {stuff} are needed.")


# ---- average

@variant("average",
         ["{name} [scores|gets] {a}, {b} and {c} points in three [games|tests]. What is the average"
          "[| score]?",
          "[Find|What is] the average of {a}, {b} and {c}?",
          "On three days {name} [reads|sells|collects] {a}, {b} and {c} {things}. What is the "
          "average per day?",
          "What is the average of the numbers {a}, {b} and {c}?",
          "Work out the mean of {a}, {b} and {c}.",
          "If {name} [gets|finds|makes] {a}, {b} and {c} {things} on three days, what is the "
          "average?",
          "The [numbers|scores|prices] are {a}, {b} and {c}. [Find the average.|What is the "
          "mean?]"],
         unseen=["{name} has the results {a}, {b} and {c}. How much is that on average?"])
def average(draw):
    person, (_, things) = draw.person(), draw.thing()
    a, b = draw.number(2, 300), draw.number(2, 300)
    c = draw.number(2, 300)
    c += -(a + b + c) % 3
    two = Step("First two", a, "+", b)
    three = Step("All three", two.value, "+", c)
    return Plan(dict(who(person), a=a, b=b, c=c, things=things),
                f"The numbers are {a}, {b} and {c}.",
                [two, three, Step("Divided by 3", three.value, "÷", 3)], "The average is {}.")


# ---- bus

@variant("bus",
         ["A [bus|train] [starts|leaves] with {n} [people|passengers]. At the [first|next] stop "
          "{a} "
          "get off and {b} get on. How many [people|passengers] are on it now?",
          "There are {n} [people|passengers] on a [bus|train]. {a} get off and {b} get on. How "
          "many "
          "are [on it now|there now]?",
          "A bus has {n} passengers. {a} leave [and|, then] {b} new ones get on. How many "
          "passengers "
          "[does it have|are there] now?",
          "If a [bus|train|boat] has {n} [people|passengers], {a} get off and {b} get on, how many "
          "are on it?",
          "How many people are on a [bus|train] of {n} people after {a} get off and {b} get on?",
          "{n} people are in a [room|shop|park|train]. {a} [leave|go out|go home] and {b} [come "
          "in|enter|arrive]. How many people are there [now|then]?",
          "{a} of the {n} passengers get off and {b} new [people|passengers] get on. [Find how "
          "many are on the bus.|How many are on the bus now?]",
          "With {n} people on it, a [bus|train] stops. {a} people [leave|get off], {b} people "
          "[enter|get on]. How many people are on it then?",
          "What is the number of people on a bus of {n} after {a} leave and {b} enter?"],
         unseen=["With {n} people on board, a train stops: {a} people leave it and {b} people "
                 "enter. "
                 "What is the number of people on the train?"])
def bus_once(draw):
    n = draw.number(4, 400)
    a, b = draw.number(2, n - 1), draw.number(2, 200)
    less = Step(f"{a} go", n, "-", a)
    return Plan(dict(n=n, a=a, b=b), f"It starts with {n} people.",
                [less, Step(f"{b} come", less.value, "+", b)], "There are {} people now.")


@variant("bus",
         ["A [bus|train] starts with {n} [people|passengers]. At the first stop {a} get off and "
          "{b} "
          "get on. At the second stop {c} get off and {d} get on. How many are on it now?",
          "A [bus|train] has {n} [people|passengers]. First {a} get off and {b} get on, then {c} "
          "get "
          "off and {d} get on. How many [people|passengers] are [there|on it] now?",
          "If a [bus|train] has {n} people, {a} get off, {b} get on, then {c} get off and {d} get "
          "on, how many are on it?",
          "How many people are on a [bus|train] of {n} people after {a} get off and {b} get on, "
          "and then {c} get off and {d} get on?",
          "{n} people are in a [room|shop|park]. {a} leave and {b} come in. Later {c} leave and "
          "{d} come in. How many people are there now?",
          "{n} people are on a bus. It stops: {a} get off and {b} get on. It stops again: {c} get "
          "off and {d} get on. How many are on it after that?",
          "What is the number of people on a bus of {n} after {a} get off and {b} get on, and then "
          "{c} get off and {d} get on?"],
         unseen=["{n} people ride a bus. When it stops, {a} get off and {b} get on. When it stops "
                 "again, {c} get off and {d} get on. How many people ride it after that?"])
def bus_twice(draw):
    n = draw.number(6, 300)
    a, b = draw.number(2, n - 2), draw.number(3, 100)
    c, d = draw.number(2, n - a + b - 1), draw.number(2, 100)
    one = Step(f"{a} go", n, "-", a)
    two = Step(f"{b} come", one.value, "+", b)
    three = Step(f"{c} go", two.value, "-", c)
    return Plan(dict(n=n, a=a, b=b, c=c, d=d), f"It starts with {n} people.",
                [one, two, three, Step(f"{d} come", three.value, "+", d)],
                "There are {} people now.")


# ---- legs

ANIMALS = {"chickens": 2, "ducks": 2, "birds": 2, "cows": 4, "dogs": 4, "cats": 4, "horses": 4,
           "sheep": 4, "pigs": 4, "spiders": 8, "ants": 6, "bees": 6}


@variant("legs",
         ["A [farm|farmer] has {a} {one} and {b} {two}. How many legs do they have [together|in "
          "total|altogether]?",
          "How many legs do {a} {one} and {b} {two} have[| together| in total]?",
          "{name} sees {a} {one} and {b} {two}. How many legs [is that|are there|does {he} see]?",
          "If {name} has {a} {one} and {b} {two}, how many legs do they have?",
          "There are {a} {one} and {b} {two}. [Find the number of legs.|How many legs are there?]",
          "{a} {one} and {b} {two} [live on a farm|are in a field|sit in the yard]. How many legs "
          "are there [in all|together]?"],
         unseen=["Count the legs of {a} {one} and {b} {two}."])
def legs(draw):
    person = draw.person()
    one, two = draw.rng.sample(list(ANIMALS), 2)
    a, b = draw.number(2, 90), draw.number(2, 90)
    first = Step(f"{one.capitalize()} have {ANIMALS[one]} legs", a, "×", ANIMALS[one])
    second = Step(f"{two.capitalize()} have {ANIMALS[two]} legs", b, "×", ANIMALS[two])
    return Plan(dict(who(person), one=one, two=two, a=a, b=b), f"{a} {one} and {b} {two}.",
                [first, second, Step("Together", first.value, "+", second.value)],
                "They have {} legs.", noun="legs")
