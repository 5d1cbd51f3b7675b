"""Word problems about rates: so much per hour, day or week, for so long."""

from plan import Plan, Step, variant, who
import vocabulary


# ---- travel

VEHICLES = ["car", "train", "bus", "truck", "bike", "van", "boat", "plane"]


@variant("travel",
         ["A {car} [travels|goes|drives] at {v} km per hour for {t} hours and then at {w} km per "
          "hour for {u} hours. How far does it [go|travel][| in total]?",
          "{name} [drives|travels|rides] for {t} hours at {v} km per hour, then for {u} hours at "
          "{w} "
          "km per hour. [How far does {he} go|What distance does {he} cover|How many km is that]"
          "[| in total| altogether]?",
          "A {car} goes {v} miles per hour for {t} hours[,| and] then {w} miles per hour for {u} "
          "hours. How many miles does it [go|travel][| in total| altogether]?",
          "If a {car} goes {v} km per hour for {t} hours and {w} km per hour for {u} hours, how "
          "far does it go?",
          "How far does {name} [go|travel|get] in {t} hours at {v} km per hour and {u} hours at "
          "{w} km per hour?",
          "{name} [walks|runs|cycles|drives] {t} hours at {v} km an hour. Then {he} goes on for "
          "{u} hours at {w} km an hour. [Find the distance.|What is the distance?|How long is the "
          "way?]",
          "The speed of a {car} is {v} miles per hour for {t} hours and {w} miles per hour for the "
          "next {u} hours. [Work out|Find] how many miles it goes.",
          "A {car} moves with a speed of {v} km per hour for {t} hours, after that with {w} km per "
          "hour for {u} hours. How far is that?",
          "First {t} hours at {v} km per hour, then {u} hours at {w} km per hour: what is the "
          "total distance?",
          "For {t} hours the speed of a {car} is {v}, for {u} hours it is {w} km per hour. Find "
          "how far it goes."],
         unseen=["First a {car} moves for {t} hours with a speed of {v} km per hour, after that "
                 "for "
                 "{u} hours with a speed of {w} km per hour. Find the total distance."])
def travel_twice(draw):
    person = draw.person()
    v, w, t, u = draw.number(5, 120), draw.number(5, 120), draw.rng.randint(2, 9), \
        draw.rng.randint(2, 9)
    first, second = Step("The first part", v, "×", t), Step("The second part", w, "×", u)
    return Plan(dict(who(person), v=v, w=w, t=t, u=u, car=draw.pick(VEHICLES)),
                f"{t} hours at {v}, then {u} hours at {w}.",
                [first, second, Step("The whole way", first.value, "+", second.value)],
                "The total distance is {}.")


@variant("travel",
         ["{name} wants to [drive|travel|go] {n} km. {He} [drives|travels|goes] {v} km per hour "
          "for "
          "{t} hours. How [far|many km] [does {he} still have to go|is left]?",
          "A trip is {n} km long. A {car} goes {v} km per hour for {t} hours. How many km [are "
          "left|"
          "remain]?",
          "The [way|road] to the {place} is {n} miles. {name} travels at {v} miles per hour for "
          "{t} "
          "hours. How many miles are left?",
          "How far is it still for {name} after {t} hours at {v} km per hour if the [trip|way] is "
          "{n} km long?",
          "If a {car} goes {v} km per hour for {t} hours on a [way|road|trip] of {n} km, how much "
          "is left?",
          "{name} must go {n} miles. {He} has gone {t} hours at {v} miles per hour. [Find what is "
          "left.|How many miles are still to go?|What remains?]",
          "The {place} is {n} km away. After {t} hours at {v} km per hour, how many km [are "
          "left|does {name} still have to go]?",
          "How many km of {n} are left when a {car} has gone {t} hours at {v} km per hour?",
          "Of a way of {n} km, {name} has done {t} hours at {v} km per hour. How much is left?"],
         unseen=["How much of a {n} km trip is left for a {car} after {t} hours at {v} km per "
                 "hour?"])
def travel_rest(draw):
    person = draw.person()
    v, t = draw.number(5, 120), draw.rng.randint(2, 9)
    n = v * t + draw.number(2, 300)
    gone = Step("Already done", v, "×", t)
    return Plan(dict(who(person), v=v, t=t, n=n, car=draw.pick(VEHICLES),
                     place=draw.pick(vocabulary.PLACES)),
                f"The whole way is {n}.", [gone, Step("What is left", n, "-", gone.value)],
                "The distance left is {}.")


# ---- work: wages

@variant("work",
         ["{name} [earns|makes|gets] ${w} per hour. {He} works {h} hours a day for {d} days. How "
          "much [does {he} earn|money does {he} make][| in total]?",
          "{name} works {h} hours [a|per|each] day for {d} days and [earns|gets] {w} dollars per "
          "hour. [What does {he} earn|How much does {he} earn][| in total| altogether]?",
          "For each hour of work {name} gets {w} dollars. How much does {he} get for {d} days of "
          "{h} "
          "hours?",
          "If {name} works {h} hours [a|per] day for {d} days at {w} dollars per hour, how much "
          "does {he} [earn|get]?",
          "How much does {name} [earn|make|get] in {d} days if {he} works {h} hours [a|each] day "
          "for ${w} [an|per] hour?",
          "{name} is paid {w} dollars an hour. {He} works {d} days, {h} hours each day. [Find "
          "{his} pay.|What is {his} pay?]",
          "{name} works for {d} days. Each day has {h} hours of work and each hour brings {w} "
          "dollars. [What does {he} get|How much is that]?"],
         unseen=["{d} days of work with {h} hours on each day: how much money is that for {name}, "
                 "who is paid ${w} for every hour?"])
def work_days(draw):
    person = draw.person()
    w, h, d = draw.number(5, 60), draw.rng.randint(2, 10), draw.rng.randint(2, 25)
    hours = Step("The hours", h, "×", d)
    return Plan(dict(who(person), w=w, h=h, d=d),
                f"{person.name} works {h} hours on each of {d} days.",
                [hours, Step(f"At {w} dollars per hour", hours.value, "×", w)],
                f"{person.name} earns {{}} dollars.", holder=person, money=True)


@variant("work",
         ["{name} [earns|makes|gets] ${w} per hour and works {h} hours. {He} [spends|pays] ${s} "
          "[on|for] a {thing}. How much [is left|money does {he} have left|remains]?",
          "{name} works {h} hours for {w} dollars per hour and then buys a {thing} for {s} "
          "dollars. "
          "How much money [is left|does {he} have left]?",
          "If {name} [earns|gets] {w} dollars per hour for {h} hours and [spends|pays] {s} "
          "dollars, how much is left?",
          "How much [is left|remains] for {name} after {h} hours of work at ${w} per hour and a "
          "{thing} for ${s}?",
          "{name} is paid {w} dollars an hour and works {h} hours. A {thing} costs {him} {s} "
          "dollars. What [remains|is left]?",
          "For {h} hours of work {name} gets {w} dollars per hour. {He} gives {s} dollars away. "
          "How much does {he} keep?"],
         unseen=["How much money does {name} keep if {he} is paid {w} dollars per hour for {h} "
                 "hours "
                 "and then spends {s} dollars on a {thing}?"])
def work_and_spend(draw):
    person, (thing, _) = draw.person(), draw.thing()
    w, h = draw.number(5, 60), draw.rng.randint(2, 40)
    s = draw.number(2, w * h - 1)
    earned = Step("The wage", w, "×", h)
    return Plan(dict(who(person), w=w, h=h, s=s, thing=thing),
                f"{person.name} works {h} hours for {w} dollars.",
                [earned, Step("What is left", earned.value, "-", s)],
                f"{person.name} has {{}} dollars left.", holder=person, money=True)


# ---- save

@variant("save",
         ["{name} has ${x} and saves ${s} [every|each|a] week for {w} weeks. How much [money does "
          "{he} have|does {he} have][| then| at the end]?",
          "{name} saves {s} dollars per week. {He} already has {x} dollars. How much does {he} "
          "have "
          "after {w} weeks?",
          "{name} [starts with|has] {x} dollars in {his} bank. Every week {he} [adds|puts in] {s} "
          "dollars. How much is [in it|there] after {w} weeks?",
          "If {name} has {x} dollars and saves {s} dollars [a|per|each] week, how much does {he} "
          "have after {w} weeks?",
          "How much money does {name} have after {w} weeks if {he} [has|starts with] ${x} and "
          "[saves|adds|gets] ${s} [a|each] week?",
          "{name} gets {s} dollars each week for {w} weeks. {He} had {x} dollars before. [Find how "
          "much {he} has now.|How much is it now?]",
          "There are {x} dollars in the bank of {name}. {s} dollars are added each week. How much "
          "is there after {w} weeks?",
          "On top of {x} dollars, {name} saves {s} dollars in each of {w} weeks. How much money is "
          "that?",
          "What does {name} have after {w} weeks when {he} starts at ${x} and adds ${s} every "
          "week?"],
         unseen=["After {w} weeks of saving ${s} each week on top of the ${x} {he} already had, "
                 "how "
                 "much money does {name} have?"])
def save_up(draw):
    person = draw.person()
    x, s, w = draw.number(2, 900), draw.number(2, 90), draw.rng.randint(2, 30)
    saved = Step("The savings", s, "×", w)
    return Plan(dict(who(person), x=x, s=s, w=w), f"{person.name} starts with {x} dollars.",
                [saved, Step("With the start", x, "+", saved.value)],
                f"{person.name} has {{}} dollars.", holder=person, money=True)


@variant("save",
         ["{name} wants a {thing} that costs ${g}. {He} has ${x} and saves ${s} [every|each|a] "
          "week. "
          "How many weeks [does {he} need|does it take|must {he} save]?",
          "A {thing} costs {g} dollars. {name} has {x} dollars and saves {s} dollars per week. "
          "[After how many weeks can {he} buy it|How many weeks must {he} save]?",
          "If a {thing} costs {g} dollars and {name} has {x} dollars, how many weeks does {he} "
          "have to save {s} dollars a week?",
          "How many weeks does {name} need for a {thing} of ${g} if {he} has ${x} and saves ${s} "
          "[a|per|each] week?",
          "{name} already has {x} of the {g} dollars that a {thing} costs. {He} saves {s} dollars "
          "each week. [Find the number of weeks.|In how many weeks can {he} buy it?]",
          "{name} needs {g} dollars for a {thing}. {x} dollars are there. Each week {he} saves {s} "
          "dollars. How many weeks [is that|until {he} has it]?",
          "To reach {g} dollars, {name}, who has {x} dollars, saves {s} dollars a week. How many "
          "weeks does it take?",
          "What number of weeks must {name} save ${s} a week for a {thing} of ${g}, if ${x} are "
          "already there?"],
         unseen=["{name} has {x} dollars. How many weeks must {he} save {s} dollars a week to "
                 "reach "
                 "the {g} dollars for a {thing}?"])
def save_for(draw):
    person, (thing, _) = draw.person(), draw.thing(False)
    s, w, x = draw.rng.randint(2, 12), draw.number(2, 60), draw.number(2, 300)
    missing = Step("Still needed", x + s * w, "-", x)
    return Plan(dict(who(person), x=x, s=s, g=x + s * w, thing=thing),
                f"The {thing} costs {x + s * w} dollars.",
                [missing, Step(f"At {s} dollars per week", missing.value, "÷", s)],
                "It takes {} weeks.")


# ---- pages

@variant("pages",
         ["A book has {n} pages. {name} reads {p} pages [a|per|each|every] day for {d} days. How "
          "many pages [are left|remain|does {he} still have to read]?",
          "{name} reads {p} pages a day. After {d} days, how many pages of a book of {n} pages are "
          "left?",
          "{name} is reading a book of {n} pages. {He} reads {p} pages every [day|evening|night]. "
          "How many pages are left after {d} [days|evenings|nights]?",
          "If a book has {n} pages and {name} reads {p} pages [a|each] day for {d} days, how many "
          "pages are left?",
          "How many pages are left of {n} pages if {name} reads {p} [of them|pages] [each|a|every] "
          "day for {d} days?",
          "For {d} days {name} reads {p} pages a day. The book has {n} pages. [Find how many pages "
          "remain.|What is left to read?]",
          "{name} has to [read|write|print] {n} pages. {He} does {p} pages a day for {d} days. How "
          "many pages [are left|remain]?",
          "{name} has a book with {n} pages. In {d} days {he} reads {p} pages on each day. How "
          "many pages has {he} not read?",
          "What is the number of pages left if {name} reads {p} pages each day for {d} days, and "
          "there are {n} pages?",
          "{name} reads {d} days, {p} pages each. Of {n} pages, how many are left?"],
         unseen=["How many of the {n} pages of a book are still unread if {name} has read {p} "
                 "pages "
                 "on each of {d} days?"])
def pages_left(draw):
    person = draw.person()
    p, d = draw.number(3, 60), draw.rng.randint(2, 14)
    n = p * d + draw.number(2, 300)
    read = Step("Pages read", p, "×", d)
    return Plan(dict(who(person), n=n, p=p, d=d), f"The book has {n} pages.",
                [read, Step("Pages left", n, "-", read.value)], "There are {} pages left.")


@variant("pages",
         ["A book has {n} pages. {name} has [already |]read {r} pages. {He} reads {p} pages [a|per|"
          "each] day. How many [more |]days does {he} need [for the rest|to finish it]?",
          "{name} has read {r} of {n} pages and reads {p} pages a day. In how many days is {he} "
          "[done|finished]?",
          "If {name} has read {r} of {n} pages, how many days [does {he} need|does it take] at {p} "
          "pages a day?",
          "How many days does {name} need for the rest of a book of {n} pages if {he} has read {r} "
          "and reads {p} [a|per|each] day?",
          "{r} pages of a book are read. It has {n} pages. {name} reads {p} pages every day. [Find "
          "how many days are left.|How many days are left?]",
          "{r} of {n} pages are done. {name} does {p} pages a day. How many days [until|till] the "
          "end?",
          "What is the number of days that {name} needs if {r} of {n} pages are read and {he} "
          "reads {p} pages per day?",
          "The book of {name} has {n} pages, of which {r} are read. If {he} reads {p} pages a day, "
          "how long does the rest take?"],
         unseen=["If {name} reads {p} pages per day and {r} of the {n} pages are done, how many "
                 "days "
                 "until the book is finished?"])
def pages_days(draw):
    person = draw.person()
    p, d, r = draw.rng.randint(2, 12), draw.number(2, 60), draw.number(2, 200)
    left = Step("Pages left", r + p * d, "-", r)
    return Plan(dict(who(person), n=r + p * d, r=r, p=p), f"The book has {r + p * d} pages.",
                [left, Step(f"At {p} pages per day", left.value, "÷", p)],
                "The rest takes {} days.")


# ---- minutes

@variant("minutes",
         ["{name} spends {a} minutes [a|each|per] day {one} and {b} minutes {two}. How many "
          "minutes "
          "is that in {d} days?",
          "Every day {name} spends {a} minutes {one} and {b} minutes {two}. How many minutes does "
          "{he} spend [on both |]in {d} days?",
          "{name} practices {one} for {a} minutes and {two} for {b} minutes each day. How many "
          "minutes does {he} practice in {d} days?",
          "If {name} spends {a} minutes {one} and {b} minutes {two} [a|each|every] day, how many "
          "minutes is that in {d} days?",
          "How many minutes does {name} spend in {d} days with {a} minutes of {one} and {b} "
          "minutes of {two} [a|each] day?",
          "{name} likes {one} and {two}. {He} does {a} minutes of the first and {b} minutes of the "
          "second each day. How many minutes is that after {d} days?",
          "In {d} days, how many minutes does {name} spend {one} and {two} if it is {a} and {b} "
          "minutes each day?",
          "Each of {d} days has {a} minutes of {one} and {b} minutes of {two} for {name}. What is "
          "the time in minutes?",
          "What is the time that {name} spends in {d} days on {one} and {two}, {a} and {b} minutes "
          "daily?"],
         unseen=["For {d} days {name} does {a} minutes of {one} and {b} minutes of {two} daily. "
                 "What "
                 "is the time in minutes?"])
def minutes(draw):
    person = draw.person()
    one, two = draw.rng.sample(vocabulary.PASTIMES, 2)
    a, b, d = draw.number(5, 90), draw.number(5, 90), draw.rng.randint(2, 12)
    daily = Step("Each day", a, "+", b)
    return Plan(dict(who(person), one=one, two=two, a=a, b=b, d=d),
                f"{a} minutes and {b} minutes each day.",
                [daily, Step(f"In {d} days", daily.value, "×", d)], "It is {} minutes.")


# ---- machine

@variant("machine",
         ["A machine makes {r} {things} [per|each|every] minute. It runs for {t} minutes. {d} "
          "{things}"
          " are [bad|broken|thrown away]. How many good {things} are there?",
          "A machine makes {r} {things} a minute and runs {t} minutes. {d} of them are "
          "[bad|broken]. "
          "How many are [good|not broken|fine]?",
          "A [factory|machine] makes {r} {things} per [hour|minute]. After {t} [hours|minutes], "
          "{d} "
          "{things} are [sold|taken away]. How many are left?",
          "If a machine makes {r} {things} [a|per] minute for {t} minutes and {d} are "
          "[bad|broken], how many good ones are there?",
          "How many good {things} come from a machine that makes {r} per minute for {t} minutes if "
          "{d} are bad?",
          "For {t} [hours|minutes] a [factory|machine] makes {r} {things} each [hour|minute]. {d} "
          "{things} [fail|break|are lost]. [Find the number of good ones.|How many are left?]",
          "A worker makes {r} {things} an hour. After {t} hours {he} [throws away|sells|loses] "
          "{d}. How many {things} are left?",
          "{t} minutes long a machine makes {r} {things} a minute. {d} of the {things} are [bad|of "
          "no use]. [Find the rest.|How many are fine?]",
          "A printer prints {r} {things} in a minute. In {t} minutes it prints many, but {d} are "
          "[bad|wrong|spoiled]. How many [good ones|are good]?",
          "Find the number of good {things} if a machine makes {r} [a|each] minute, it runs {t} "
          "minutes, and {d} are [bad|broken]."],
         unseen=["During {t} minutes a machine puts out {r} {things} each minute, but {d} {things} "
                 "do "
                 "not work. Find how many work."])
def machine(draw):
    person, (_, things) = draw.person(), draw.thing(False)
    r, t = draw.number(2, 90), draw.number(2, 40)
    d = draw.number(1, min(r * t - 1, 300))
    made = Step("Made", r, "×", t)
    return Plan(dict(who(person), r=r, t=t, d=d, things=things),
                f"{r} {things} at a time, {t} times.",
                [made, Step(f"Without the {d}", made.value, "-", d)],
                f"There are {{}} {things}.", noun=things)


# ---- tank: water in and out

@variant("tank",
         ["A tank holds {n} liters of water. {a} liters [flow|run] out [every|each|per] minute for "
          "{t} minutes. How many liters are left?",
          "There are {n} liters in a [tank|pool]. {name} takes out {a} liters {t} times. How many "
          "liters [are left|remain]?",
          "If a [tank|pool] has {n} liters and {a} liters flow out [each|every|per] minute, how "
          "many liters are left after {t} minutes?",
          "How many liters are left of {n} after {t} minutes if {a} liters run out [each|every] "
          "minute?",
          "{a} liters a minute run out of a tank of {n} liters. [Find what is left after {t} "
          "minutes.|How much is left after {t} minutes?]",
          "A tank with {n} liters loses {a} liters [a|per|every] minute. How [much|many liters] "
          "[is left|are left|does it hold] after {t} minutes?",
          "How much is left in a [pool|tank|barrel] of {n} liters when {a} liters leave it in "
          "every minute, for {t} minutes?",
          "From a barrel of {n} liters {name} takes {a} liters a day. How many liters are in it "
          "after {t} days?"],
         unseen=["How much water is left of {n} liters if a tank loses {a} liters in each of {t} "
                 "minutes?"])
def tank_out(draw):
    person = draw.person()
    a, t = draw.number(2, 60), draw.rng.randint(2, 15)
    n = a * t + draw.number(1, 300)
    out = Step("Water out", a, "×", t)
    return Plan(dict(who(person), n=n, a=a, t=t), f"The tank has {n} liters.",
                [out, Step("Water left", n, "-", out.value)], "There are {} liters left.")


@variant("tank",
         ["A [tank|pool] has {n} liters of water. {a} liters flow in [every|each|per] minute for "
          "{t} "
          "minutes. How many liters are in it then?",
          "There are {n} liters in a [tank|pool]. {name} adds {a} liters {t} times. How many "
          "liters "
          "are [in it|there] now?",
          "If a [tank|pool] has {n} liters and {a} liters flow in [each|every|per] minute, how "
          "many liters are there after {t} minutes?",
          "How many liters are in a tank of {n} liters after {t} minutes if {a} liters run in "
          "[each|every] minute?",
          "{a} liters a minute run into a tank with {n} liters. [Find what is in it after {t} "
          "minutes.|How much is in it after {t} minutes?]",
          "A tank with {n} liters gets {a} liters more [a|per|every] minute. How [much|many "
          "liters] does it hold after {t} minutes?",
          "How much is in a [pool|tank|barrel] of {n} liters when {a} liters more come in every "
          "minute, for {t} minutes?",
          "Into a barrel with {n} liters {name} puts {a} liters a day. How many liters are in it "
          "after {t} days?"],
         unseen=["How much water is in a tank of {n} liters at first if it gains {a} liters in "
                 "each "
                 "of {t} minutes?"])
def tank_in(draw):
    person = draw.person()
    a, t, n = draw.number(2, 60), draw.rng.randint(2, 15), draw.number(2, 500)
    flow = Step("Water in", a, "×", t)
    return Plan(dict(who(person), n=n, a=a, t=t), f"The tank has {n} liters.",
                [flow, Step("Water then", n, "+", flow.value)], "There are {} liters.")
