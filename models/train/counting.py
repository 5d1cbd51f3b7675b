"""Word problems about counts: what comes and goes, day after day, and whose is more.

The family "hall" is never trained on.
"""

from plan import Plan, Step, variant, who
import vocabulary

MANY = "How many {things} [does {name} have now|does {he} have now|are there now|does {he} have " \
       "in the end|does {name} have left|are left|remain]?"


# ---- change: things come and go

GAIN = ["[buys|finds|gets|receives|collects|picks up|wins|makes|adds|orders] {n}[| more]",
        "is given {n}[| more]", "gets {n} more from {friend}",
        "[buys|gets|makes|finds] another {n}",
        "gets {n} as a [gift|present|prize]",
        "[bakes|draws|catches|plants|grows|earns|writes] {n} more", "[finds|buys] {n} on the way", "takes {n} from {friend}",
        "[buys|makes] {n} new ones"]
LOSE = ["gives {n} to {friend}", "gives away {n}",
        "[loses|sells|drops|uses|throws away|breaks] {n}",
        "gives {friend} {n}", "[sells|loses|gives away|uses up] {n} of them", "puts {n} away",
        "[sells|gives] {n} to a friend", "loses {n} on the way", "returns {n}",
        "[spends|forgets|burns|spills|hides|lends] {n}", "gives {n} back",
        "leaves {n} at home"]
EAT = ["eats {n}", "eats {n} of them", "[eats|uses|cooks] {n}",
       "eats {n} for [lunch|dinner|breakfast]"]


def _events(draw, start, count, food, friend, must_lose):
    """`count` changes that never go below zero: [(phrase, sign, number)]."""
    total, events = start, []
    for index in range(count):
        lose = total > 3 and (draw.rng.random() < 0.5 or must_lose and index == count - 1)
        if lose:
            number = draw.number(1, total - 1)
            phrase = draw.pick(EAT if food and draw.rng.random() < 0.6 else LOSE)
        else:
            number = draw.number(2, 999)
            phrase = draw.pick(GAIN)
        total += -number if lose else number
        events.append((draw.fill(phrase, dict(n=number, friend=friend)), lose, number))
    return [(phrase[0].lower() + phrase[1:], lose, number) for phrase, lose, number in events]


def _change_steps(person, start, events):
    steps, total = [], start
    for phrase, lose, number in events:
        for digit_word, word in enumerate(vocabulary.NUMBER_WORDS):
            phrase = phrase.replace(f" {word} ", f" {digit_word} ")
            if phrase.endswith(" " + word):
                phrase = phrase[: -len(word)] + str(digit_word)
        steps.append(Step(f"{person.He} {phrase}", total, "-" if lose else "+", number))
        total = steps[-1].value
    return steps


def _change(draw, count):
    person, friend = draw.people(2)
    food = draw.rng.random() < 0.5
    thing, things = draw.thing(food)
    start = draw.number(4, 999)
    events = _events(draw, start, count, food, friend.name, draw.rng.random() < 0.8)
    slots = dict(who(person), things=things, thing=thing, a=start,
                 events=[phrase for phrase, _, _ in events])
    for index, (phrase, _, _) in enumerate(events):
        slots[f"e{index + 1}"] = phrase

    def plan(events):
        return Plan(slots, f"{person.name} starts with {start} {things}.",
                    _change_steps(person, start, events),
                    f"{person.name} has {{}} {things} {'left' if events[-1][1] else 'now'}.",
                    holder=person, noun=things)

    result = plan(events)
    phrase, lose, number = events[-1]
    other = number + draw.rng.randint(1, 9) if not lose else max(1, number - draw.rng.randint(1, 9))
    if other != number and " " + str(number) in phrase:
        changed = events[:-1] + [(phrase.replace(" " + str(number), " " + str(other)), lose, other)]
        question = draw.pick([f"What if {person.he} {changed[-1][0]} instead?",
                              f"And if {person.he} {changed[-1][0]} instead of {number}?",
                              f"What if it were {other} instead of {number}?"])
        result.what_if.append((question, plan(changed)))
    return result


@variant("change",
         ["{name} [has|owns|starts with|begins with|got] {a} {things}, {e1} and {e2}. " + MANY,
          "{name} [makes|bakes|buys|finds|draws|picks|grows|sees] {a} {things}, {e1} and [then |]{e2}. "
          + MANY,
          "{name} [makes|bakes|buys|finds|draws|picks|grows] {a} {things}. [Then|After that] {he} {e1} "
          "and {e2}. How many {things} are there[| now]?",
          "{name} [has|had|owns] {a} {things}. {He} {e1}, [then|and then] {he} {e2}. " + MANY,
          "{name} [has|starts with|starts the day with] {a} {things}. {He} {e1}. "
          "[Then|Later|After that|Next,] {he} {e2}. " + MANY,
          "[There are {a} {things} in {name}'s bag|{name} has a bag of {a} {things}]. {He} {e1} "
          "and {e2}. " + MANY,
          "How many {things} does {name} have if {he} [starts|begins] with {a}, {e1} and {e2}?",
          "At first {name} has {a} {things}. [First|On Monday] {he} {e1}, [then|on Tuesday] {he} "
          "{e2}. " + MANY,
          "If {name} [has|owns|starts with] {a} {things}, {e1} and {e2}, how many {things} [does "
          "{he} have|are left|remain]?",
          "{name} had {a} {things}. [Today|Yesterday|This week|This morning] {he} {e1}. "
          "[Also,|And] {he} {e2}. [Find|Work out] how many {things} {he} has [now|left].",
          "Starting with {a} {things}, {name} {e1} and [then|after that] {he} {e2}. How many "
          "{things} [is that now|does {he} end up with|remain]?",
          "{a} {things} belong to {name}. {He} {e1}, but {he} also {e2}. [How many {things} does "
          "{he} have now|What number of {things} is left]?",
          "After {name} {e1} and {e2}, how many {things} [does {he} have|are left] if {he} had {a} "
          "[at first|before|to begin with]?",
          "{name} collects {things} and has {a} of them. {He} {e1}. [A day later|An hour "
          "later|Then] {he} {e2}. How many are there [now|in the end]?",
          "{name} keeps {a} {things} in a box. {He} {e1}. In the evening {he} {e2}. Count how many "
          "{he} has.",
          "What is the number of {things} that {name} has if {he} had {a}, {e1} and {e2}?"],
         unseen=["In the morning {name} counts {a} {things}. During the day {he} {e1} and in the "
                 "evening {he} {e2}. What is the number of {things} that {he} has at the end?"])
def change_twice(draw):
    return _change(draw, 2)


@variant("change",
         ["{name} has {a} {things}. {He} {e1}, {e2} and {e3}. " + MANY,
          "{name} [has|starts with] {a} {things}. {He} {e1}. Then {he} {e2}. "
          "[Finally|Last|In the end] {he} {e3}. " + MANY,
          "{name} [has|owns] {a} {things}, {e1}, {e2} and {e3}. " + MANY,
          "On Monday {name} has {a} {things}. On Tuesday {he} {e1}, on Wednesday {he} {e2} and on "
          "Thursday {he} {e3}. " + MANY,
          "If {name} [has|starts with] {a} {things}, {e1}, {e2} and {e3}, how many {things} [does "
          "{he} have|are left]?",
          "{name} had {a} {things}. {He} {e1} and {e2}. [After that|Later] {he} {e3}. [Find|Work "
          "out] how many {things} {he} has [now|left].",
          "{a} {things} belong to {name}. First {he} {e1}, second {he} {e2}, third {he} {e3}. [How "
          "many does {he} have now|What number of {things} is left]?",
          "In the morning {name} has {a} {things}. At noon {he} {e1}. In the afternoon {he} {e2} "
          "and at night {he} {e3}. How many {things} [does {he} have|are there]?",
          "At home {name} keeps {a} {things}. One day {he} {e1}. The next day {he} {e2}, and the "
          "day after {he} {e3}. How many are there?",
          "What is the number of {things} that {name} has if {he} had {a}, {e1}, {e2} and {e3}?"],
         unseen=["{name} keeps {a} {things} at home. After that {he} {e1}. The next day {he} {e2}, "
                 "and later {he} {e3}. Count the {things} that {he} has now."])
def change_three_times(draw):
    return _change(draw, 3)


# ---- place: things come and go by themselves

PLACES = [("birds", "[on|in] a tree", "[fly away|leave]", "[come|arrive|land there]"),
          ("cars", "in a [car park|street]", "[leave|drive away]", "[come|arrive]"),
          ("children", "in a [park|room|pool|class]", "[leave|go home|go out]",
           "[come|join them|enter]"),
          ("people", "in a [cafe|museum|queue]", "[leave|go home|go away]", "[come|arrive|enter]"),
          ("fish", "in a [lake|tank]", "[are caught|swim away|die]", "[come|are added|are born]"),
          ("ducks", "on a [lake|pond]", "[fly away|swim away|leave]", "[come|arrive]"),
          ("books", "on a shelf", "[are taken|are lent out|are sold]", "[are added|come back]"),
          ("sheep", "in a field", "[are sold|run away|leave]", "[are born|are bought|come back]"),
          ("trees", "in a garden", "[are cut down|die|fall]", "[are planted|grow]"),
          ("flowers", "in a garden", "[are picked|die|are cut]", "[are planted|grow]"),
          ("leaves", "on a plant", "[fall|turn brown|are eaten]", "[grow|come]"),
          ("boats", "in a port", "[leave|sink|sail away]", "[arrive|come in]"),
          ("cups", "in a kitchen", "[break|are used|are lost]",
           "[are washed|are bought|are added]"),
          ("players", "in a game", "[leave|drop out|lose]", "[join|come in]"),
          ("eggs", "in a basket", "[break|are eaten|are sold]", "[are laid|are added]")]


def _place(draw, count):
    things, place, go, come = draw.pick(PLACES)
    if draw.rng.random() < 0.3:
        _, things = draw.thing()
        place, go, come = ("[in a [box|bag|shop|room]|on a [table|desk]]",
                           "[are sold|are taken|are lost|are removed]",
                           "[are added|are bought|are found|are put there]")
    total = draw.number(4, 600)
    slots = dict(a=total, things=things, place=draw.fill(place, {}).lower())
    given, steps = f"There are {total} {things}.", []
    for index in range(count):
        leaves = total > 3 and draw.rng.random() < 0.6
        number = draw.number(2, total - 1) if leaves else draw.number(2, 200)
        more = "" if leaves else draw.pick(["", " more", " new ones"])
        phrase = draw.fill(go if leaves else come, {})
        slots[f"e{index + 1}"] = f"{draw.say(number)}{more} {phrase.lower()}"
        steps.append(Step(f"{number} {'go' if leaves else 'come'}", total, "-" if leaves else "+",
                          number))
        total = steps[-1].value
    return Plan(slots, given, steps, f"There are {{}} {things} {'left' if leaves else 'now'}.",
                noun=things)


@variant("place",
         ["There are {a} {things} {place}. {e1} and {e2}. How many {things} are [there now|left|"
          "there|there in the end]?",
          "{a} {things} are {place}. [First|Then] {e1}, [then|later] {e2}. How many [are there|are "
          "there now|remain]?",
          "If there are {a} {things} {place}, {e1} and {e2}, how many {things} are there "
          "[then|now|]?",
          "How many {things} are {place} [if|when] there were {a} and {e1} and {e2}?",
          "At first there are {a} {things} {place}. {e1}. After that {e2}. [Find|Work out] how "
          "many "
          "are [left|there].",
          "Of {a} {things} {place}, it is known that {e1} and {e2}. How many {things} is that now?",
          "What is the number of {things} {place} if there were {a}, {e1} and {e2}?",
          "Somebody sees {a} {things} {place}. A moment later {e1}. [Finally|In the end] {e2}. How "
          "many {things} are there?"],
         unseen=["We count {a} {things} {place}. While we watch, {e1}, and a bit later {e2}. What "
                 "is "
                 "their number in the end?"])
def place_twice(draw):
    return _place(draw, 2)


@variant("place",
         ["There are {a} {things} {place}. {e1}. How many {things} are [there now|left|there]?",
          "{a} {things} are {place}. {e1}. How many [are there|are there now|remain]?",
          "If there are {a} {things} {place} and {e1}, how many {things} are there [then|now|]?",
          "How many {things} are {place} [if|when] there were {a} and {e1}?",
          "I see {a} {things} {place}. {e1}. How many do I see now?"],
         unseen=["Where {a} {things} were {place}, {e1}. What is their number?"])
def place_once(draw):
    return _place(draw, 1)


@variant("place",
         ["There are {a} {things} {place}. {e1}, {e2} and {e3}. How many {things} are [there "
          "now|left|"
          "there]?",
          "{a} {things} are {place}. First {e1}, then {e2}, and [finally|later] {e3}. How many "
          "[are "
          "there|remain]?",
          "On Monday there are {a} {things} {place}. On Tuesday {e1}, on Wednesday {e2} and on "
          "Friday "
          "{e3}. How many are [there|left]?"],
         unseen=["Count the {things} {place} after {e1}, {e2} and {e3}, if there were {a}."])
def place_three_times(draw):
    return _place(draw, 3)


# ---- daily: the same every day

@variant("daily",
         ["{name} has {n} {things}. [Each|Every] day {he} [eats|uses|sells|gives away] {a}[| of "
          "them]. "
          "How many are left after {t} days?",
          "How many of {n} {things} are left after {t} days if {name} [eats|uses|sells] {a} "
          "[each|a|"
          "every] day?",
          "If {name} [eats|uses|sells|loses] {a} {things} a [day|week] and has {n}, how many [are "
          "left|"
          "remain] after {t} [days|weeks]?",
          "{name} [sells|uses|eats] {a} {things} {t} times. {He} had {n}. [What is left?|How many "
          "does "
          "{he} have left?]",
          "{name} has [a pile|a stock|a supply] of {n} {things} and [uses|eats|sells|takes] {a} "
          "[a|per|each] day. How many are in it after {t} days?",
          "{n} {things} are in a [bag|box|cupboard]. {name} takes {a} out [each|every] "
          "[day|morning|evening]. After {t} [days|mornings|evenings], how many are [left|in it]?",
          "{t} days long {name} [eats|gives away|loses] {a} {things} a day. {He} started with {n}. "
          "How many [are left|remain]?"],
         unseen=["For {t} days, {name} takes {a} {things} a day from a pile of {n}. How large is "
                 "the "
                 "pile then?"])
def daily_out(draw):
    person, (_, things) = draw.person(), draw.thing()
    a, t = draw.number(2, 40), draw.rng.randint(2, 14)
    n = a * t + draw.number(1, 300)
    used = Step("Used up", a, "×", t)
    return Plan(dict(who(person), n=n, a=a, t=t, things=things),
                f"{person.name} starts with {n} {things}.",
                [used, Step("What is left", n, "-", used.value)],
                f"{person.name} has {{}} {things} left.", holder=person, noun=things)


@variant("daily",
         ["{name} has {n} {things}. [Each|Every] day {he} [gets|finds|makes|buys] {a}[| more]. How "
          "many are there after {t} days?",
          "How many {things} does {name} have after {t} days if {he} has {n} and [gets|finds|makes|"
          "buys] {a} [each|a|every] day?",
          "If {name} [gets|finds|makes|buys] {a} {things} a [day|week] and has {n}, how many are "
          "there "
          "after {t} [days|weeks]?",
          "{name} [buys|gets|finds|makes] {a} {things} {t} times. {He} had {n}. How many does {he} "
          "have now?",
          "{name} has [a pile|a stock|a supply] of {n} {things} and [adds|puts in|makes] {a} "
          "[a|per|each] day. How many are in it after {t} days?",
          "{n} {things} are in a [bag|box|cupboard]. {name} puts {a} in [each|every] "
          "[day|morning|evening]. After {t} [days|mornings|evenings], how many are [there|in it]?",
          "{t} days long {name} [gets|finds|wins] {a} {things} a day. {He} started with {n}. How "
          "many are there [now|then]?"],
         unseen=["For {t} days, {name} puts {a} {things} a day on a pile of {n}. How large is the "
                 "pile "
                 "then?"])
def daily_in(draw):
    person, (_, things) = draw.person(), draw.thing()
    a, t, n = draw.number(2, 40), draw.rng.randint(2, 14), draw.number(2, 400)
    new = Step("New ones", a, "×", t)
    return Plan(dict(who(person), n=n, a=a, t=t, things=things),
                f"{person.name} starts with {n} {things}.",
                [new, Step("With the first ones", n, "+", new.value)],
                f"{person.name} has {{}} {things} now.", holder=person, noun=things)


# ---- pets: plain sums of two kinds

@variant("kinds",
         ["{name} has {a} {things} and {b} {others}. How many {all} does {he} have[| in total| "
          "altogether]?",
          "If {name} has {a} {things} and {b} {others}, how many {all} does {he} have?",
          "There are {a} {things} and {b} {others} in the {place}. How many {all} are there[| "
          "altogether| in all]?",
          "{name} [sees|buys|finds|counts] {a} {things} and {b} {others}. How many {all} is that?",
          "How many {all} are {a} {things} and {b} {others}[| together]?"],
         unseen=["Put {a} {things} and {b} {others} together. What is the number of {all}?"])
def kinds(draw):
    person = draw.person()
    if draw.rng.random() < 0.6:
        (_, things), (_, others) = draw.things(2)
        every = draw.pick(["things", "things", "pieces", "items", "objects"])
    else:
        every, members = draw.pick([
            ("pets", "dogs cats birds fish rabbits"), ("animals", "cows pigs horses sheep ducks"),
            ("flowers", "roses tulips"), ("people", "boys girls men women"),
            ("children", "boys girls"), ("students", "boys girls"), ("toys",
                                                                     "dolls cars balls blocks"),
            ("fruits", "apples pears plums lemons"), ("vehicles", "cars trucks buses bikes"),
            ("balls", "red-balls blue-balls"), ("marbles", "red-marbles green-marbles")])
        things, others = (word.replace("-", " ") for word in draw.rng.sample(members.split(), 2))
    a, b = draw.number(2, 900), draw.number(2, 900)
    return Plan(dict(who(person), a=a, b=b, things=things, others=others, all=every,
                     place=draw.pick(vocabulary.PLACES)),
                f"{a} {things} and {b} {others}.", [Step("Together", a, "+", b)],
                f"There are {{}} {every} in total.", noun=every, holder=person)


# ---- compare: two or three holders

@variant("compare",
         ["{name} has {n} {things}. {friend} has {times} as many. How many {things} do they have "
          "[together|in total|altogether]?",
          "{friend} has {times} as many {things} as {name}. {name} has {n}[| {things}]. How many "
          "do "
          "they have [together|in all]?",
          "If {name} has {n} {things} and {friend} has {times} as many, how many do they have "
          "[together|in total]?",
          "How many {things} do {name} and {friend} have together if {name} has {n} and {friend} "
          "{times} as many?",
          "{name} [finds|buys|sells|reads] {n} {things} and {friend} {times} as many. [How many is "
          "that in all|Find the sum|How many {things} are there in total]?",
          "{name} has {n} {things}, and {friend} has {times} as many. Count all of them.",
          "What do {name} and {friend} own together if {name} owns {n} {things} and {friend} "
          "{times} as many?"],
         unseen=["What is the number of {things} that {name} and {friend} own together if {name} "
                 "has "
                 "{n} and {friend} has {times} as many?"])
def compare_times(draw):
    person, friend = draw.people(2)
    _, things = draw.thing()
    n, k = draw.number(3, 300), draw.rng.randint(2, 6)
    theirs = Step(f"{friend.name} has", n, "×", k)
    return Plan(dict(who(person), friend=friend.name, things=things, n=n,
                     times="twice" if k == 2 else f"{draw.say(k)} times"),
                f"{person.name} has {n} {things}.",
                [theirs, Step("Together", n, "+", theirs.value)],
                f"They have {{}} {things} together.", noun=things)


@variant("compare",
         ["{name} has {n} {things}. {friend} has {d} {more} than {name}. How many {things} do they "
          "have [together|in total|altogether]?",
          "{friend} has {d} {more} {things} than {name}, who has {n}. How many {things} do they "
          "have "
          "[together|in all|in total]?",
          "If {name} has {n} {things} and {friend} has {d} {more}, how many do they have "
          "[together|in total]?",
          "How many {things} do {name} and {friend} have together if {name} has {n} and {friend} "
          "has {d} {more}?",
          "{name} [finds|buys|sells|reads] {n} {things}. {friend} [finds|buys|sells|reads] {d} "
          "{more}. [How many is that in all|Find the sum|How many {things} are there in total]?",
          "{name} has {n} {things}, and {friend} has {d} {more}. Count all of them.",
          "What is the number of {things} of {name} and {friend} if {name} has {n} and {friend} "
          "{d} {more}?"],
         unseen=["{name} owns {n} {things} and {friend} {d} {more}. Count the {things} of both."])
def compare_sum(draw):
    person, friend = draw.people(2)
    _, things = draw.thing()
    n, less = draw.number(3, 500), draw.rng.random() < 0.5
    d = draw.number(1, n - 1 if less else 300)
    theirs = Step(f"{friend.name} has {d} {'fewer' if less else 'more'}", n, "-" if less else "+",
                  d)
    return Plan(dict(who(person), friend=friend.name, things=things, n=n, d=d,
                     more=draw.pick(["fewer", "less"]) if less else "more"),
                f"{person.name} has {n} {things}.",
                [theirs, Step("Together", n, "+", theirs.value)],
                f"They have {{}} {things} together.", noun=things)


@variant("compare",
         ["In [May|June|April] {name} [sells|makes|reads] {n} {things}, and {times} as many in "
          "[July|"
          "August]. How many is that [altogether|in total|together]?",
          "{name} [sells|makes|finds] {n} {things} on Monday and {times} as many on Tuesday. How "
          "many "
          "{things} [is that|does {he} [sell|make|find]] [in both days|in total|altogether]?",
          "How many {things} are {n} and then {times} as many[| together]?",
          "{n} {things} in the first week, {times} as many in the second: how many {things} is "
          "that?",
          "First {name} counts {n} {things}, then {times} as many. Add them up. How many are "
          "there?"],
         unseen=["In the first week {name} makes {n} {things}, in the second week {times} as many. "
                 "Add "
                 "both weeks."])
def compare_days(draw):
    person = draw.person()
    _, things = draw.thing()
    k = draw.pick((2, 2, 3, 4, 5))
    half = draw.rng.random() < 0.35
    n = draw.number(3, 300) * (2 if half else 1)
    then = Step("Then", n, "÷" if half else "×", 2 if half else k)
    return Plan(dict(who(person), things=things, n=n,
                     times="half" if half else "twice" if k == 2 else f"{draw.say(k)} times"),
                f"First {n} {things}.", [then, Step("Together", n, "+", then.value)],
                "In total it is {} " + things + ".", noun=things)


@variant("compare",
         ["On Monday {name} [sells|makes|eats] {n} {things} and on Tuesday {d} {more}. How many is "
          "that "
          "[altogether|in both days|in total]?",
          "{name} [sells|makes|finds] {n} {things} in the first week and {d} {more} in the second. "
          "How "
          "many {things} is that [in total|together|in all]?",
          "{n} {things} in the first box, {d} {more} in the second: how many {things} is that?",
          "First {name} counts {n} {things}, then {d} {more}. Add them up. How many are there?"],
         unseen=["The first box has {n} {things}, the second has {d} {more}. Add both."])
def compare_days_sum(draw):
    person = draw.person()
    _, things = draw.thing()
    n, less = draw.number(3, 500), draw.rng.random() < 0.5
    d = draw.number(1, n - 1 if less else 300)
    then = Step("Then", n, "-" if less else "+", d)
    return Plan(dict(who(person), things=things, n=n, d=d,
                     more=draw.pick(["fewer", "less"]) if less else "more"),
                f"First {n} {things}.", [then, Step("Together", n, "+", then.value)],
                "In total it is {} " + things + ".", noun=things)


@variant("compare",
         ["{name} has {n} {things} and [buys|gets|finds] {m} more. {friend} has {k} {things}. How "
          "many more {things} does {name} have [than {friend}|now than {friend}]?",
          "{friend} has {k} {things}. {name} had {n} and [buys|gets|wins] {m} more. How many more "
          "does {name} have than {friend}?",
          "If {name} has {n} {things} and gets {m} more, how many more than {friend} does {he} "
          "have, who has {k}?",
          "How many more {things} than {friend} does {name} have if {name} has {n} and then {m} "
          "more, and {friend} has {k}?",
          "{name} [finds|buys|makes] {n} {things} and later {m} more {things}. {friend} "
          "[finds|buys|makes] {k}. What is the difference?",
          "{friend} owns {k} {things}. {name} owns {n} and gets {m} more. [Find|Work out] how many "
          "more {name} has.",
          "{name} adds {m} {things} to {n}. {friend} has {k}. By how many does {name} have more?",
          "What is the difference between {name}, who has {n} {things} and gets {m}, and {friend}, "
          "who has {k}?"],
         unseen=["By how many {things} is {name} ahead of {friend}, who has {k}, once {name} adds "
                 "{m} "
                 "{things} to {his} {n}?"])
def compare_difference(draw):
    person, friend = draw.people(2)
    _, things = draw.thing()
    n, m = draw.number(3, 400), draw.number(2, 300)
    k = draw.number(1, n + m - 1)
    mine = Step(f"{person.name} has", n, "+", m)
    return Plan(dict(who(person), friend=friend.name, things=things, n=n, m=m, k=k),
                f"{friend.name} has {k} {things}.",
                [mine, Step("The difference", mine.value, "-", k)],
                f"{person.name} has {{}} more {things}.", noun=things)


# ---- team: add up several holders

@variant("team",
         ["{name} has {a} {things}, {friend} has {b} and {third} has {c}. How many {things} do "
          "they "
          "have [together|in total|altogether]?",
          "{name}, {friend} and {third} [collect|find|buy|sell] {a}, {b} and {c} {things}. How "
          "many "
          "is that [together|in total|in all]?",
          "[On Monday|In the morning] {name} [sells|finds|picks] {a} {things}, [on Tuesday|at "
          "noon] "
          "{b} and [on Wednesday|in the evening] {c}. How many {things} is that [in total|in all]?",
          "If {name} has {a} {things}, {friend} {b} and {third} {c}, how many do they have "
          "[together|in total]?",
          "How many {things} do {name}, {friend} and {third} have together if they have {a}, {b} "
          "and {c}?",
          "There are {a} {things} in the first box, {b} in the second and {c} in the third. [How "
          "many is that in all|Find the sum|How many {things} are there]?",
          "{name} makes {a} {things}, then {b} more, then {c} more. How many {things} [are "
          "there|does {he} have] [in the end|in total]?",
          "Add {a} {things} from {name}, {b} from {friend} and {c} from {third}.",
          "{a} {things}, {b} {things} and {c} {things} are put together. How many {things} is "
          "that?",
          "{name} gives {a} {things}, {friend} gives {b} and {third} gives {c}. Find the sum.",
          "What is the number of all {things} if there are {a} here, {b} there and {c} at home?"],
         unseen=["There are {a} {things} from {name}, {b} from {friend} and {c} from {third}. Add "
                 "them up."])
def team(draw):
    person, friend, third = draw.people(3)
    _, things = draw.thing()
    a, b, c = draw.number(2, 900), draw.number(2, 900), draw.number(2, 900)
    two = Step("First two", a, "+", b)
    return Plan(dict(who(person), friend=friend.name, third=third.name, a=a, b=b, c=c,
                     things=things),
                f"{a}, {b} and {c} {things}.", [two, Step("All three", two.value, "+", c)],
                f"It is {{}} {things} in total.", noun=things)


# ---- hall: the family that is never trained on

@variant("hall",
         ["A concert hall has {r} rows of {s} seats. {t} seats are taken. How many seats are "
          "empty?",
          "A theater has {r} rows with {s} seats in each row. If {t} guests come, how many seats "
          "stay free?"],
         heldout=True)
def hall(draw):
    r, s = draw.number(3, 40), draw.number(3, 40)
    t = draw.number(1, r * s - 1)
    seats = Step("All seats", r, "×", s)
    return Plan(dict(r=r, s=s, t=t), f"There are {r} rows of {s} seats.",
                [seats, Step("Empty seats", seats.value, "-", t)], "There are {} empty seats.",
                noun="seats")
