"""What the generator promises: right answers, nothing held out that is trained on."""

import itertools
import random
import re

import pytest

import arithmetic_test
import evaluate
import plan
import problems
import smalltalk

SEED = 20


def drawn(kind, count=400):
    rng = random.Random(SEED)
    return [problems.problem(rng, kind) for _ in range(count)]


def expansions(wording):
    """Every sentence that a wording with [a|b] can become."""
    parts = re.split(r"\[([^\[\]]*)\]", wording)
    if len(parts) == 1:
        return [wording]
    choices = [part.split("|") if index % 2 else [part] for index, part in enumerate(parts)]
    flat = ["".join(chosen) for chosen in itertools.product(*choices)]
    return [text for outer in flat for text in (expansions(outer) if "[" in outer else [outer])]


def test_there_are_enough_families():
    assert len({variant.family for variant in plan.VARIANTS}) >= 12
    assert any(variant.heldout for variant in plan.VARIANTS)


def test_no_unseen_wording_is_among_the_trained_ones():
    for variant in plan.VARIANTS:
        if variant.heldout:
            continue
        trained = {text.lower() for wording in variant.wordings for text in expansions(wording)}
        for wording in variant.unseen:
            assert not trained & {text.lower() for text in expansions(wording)}, wording


def test_the_heldout_family_is_never_drawn_for_training():
    rng = random.Random(SEED)
    for _ in range(3000):
        assert not problems.problem(rng).variant.heldout
    assert {problem.variant.family for problem in drawn("family")} == {"hall"}


def test_training_and_examination_share_no_numbers():
    assert not any(problems.is_held_out(problem.plan) for problem in drawn("train"))
    for kind in ("seen", "unseen", "family"):
        assert all(problems.is_held_out(problem.plan) for problem in drawn(kind))


@pytest.mark.parametrize("kind", ["train", "seen", "unseen", "family"])
def test_questions_are_whole_sentences_that_hold_the_numbers(kind):
    for problem in drawn(kind):
        text = problem.question
        assert not re.search(r"[\[\]{}|]|  |\bNone\b", text), text
        assert re.search(r"\d|" + "|".join(problems.vocabulary.NUMBER_WORDS), text.lower()), text


@pytest.mark.parametrize("model", ["r1", "math"])
def test_solutions_are_right_line_by_line(model):
    rng = random.Random(SEED)
    for _ in range(2000):
        problem = problems.problem(rng)
        turn = problems.solve(rng, problem.question, problem.plan, model)
        text = turn.text(model)
        arithmetic_test.check_claims(text)
        thinking, rest = evaluate.split_thinking(text, model == "r1")
        assert thinking is not None and evaluate.boxed(rest) == turn.answer
        assert turn.answer == problem.plan.answer_text


def test_word_problems_take_one_to_four_steps_and_end_above_zero():
    for problem in drawn("train", 2000):
        assert 1 <= len(problem.plan.steps) <= 4
        if problem.variant.family not in problems.BARE_FAMILIES + ("packs",):
            assert problem.plan.answer > 0, problem.question


def test_the_first_person_is_answered_in_the_second():
    rng, found = random.Random(SEED), 0
    for _ in range(3000):
        problem = problems.problem(rng)
        if problem.plan.is_first_person and re.search(r"\bI\b", problem.question):
            found += 1
            told = problem.plan.given + problem.plan.sentence
            assert not re.search(r"\b(he|He|his|him|has)\b", told), told
            assert not re.search(r"\bI (has|is|does)\b", problem.question), problem.question
    assert found > 50


def test_follow_ups_continue_from_the_answer():
    for item in problems.examination("follow_up", 300, SEED):
        assert len(item["turns"]) == len(item["answers"]) == 2
        assert not re.search(r"[\[\]{}|]", item["turns"][1]), item


def test_examinations_depend_on_the_seed_only():
    for kind in ("seen", "unseen", "family", "follow_up"):
        first = problems.examination(kind, 20, SEED)
        assert first == problems.examination(kind, 20, SEED)
        assert first != problems.examination(kind, 20, SEED + 1)


@pytest.mark.parametrize("model", ["r1", "math"])
def test_conversations_depend_on_the_seed_only(model):
    def some():
        rng = random.Random(SEED)
        return [problems.segments(rng, model) for _ in range(100)]

    assert some() == some()


@pytest.mark.parametrize("model", ["r1", "math"])
def test_small_talk_says_who_it_is_and_fills_every_slot(model):
    rng = random.Random(SEED)
    for _ in range(1000):
        question, thought, reply = smalltalk.exchange(rng, model)
        assert not re.search(r"[\[\]{}|]", question + thought + reply), question
        if thought == "The user asks who I am.":
            assert smalltalk.NAMES[model] in reply


def test_boxed_reads_the_last_box():
    assert evaluate.boxed("so \\boxed{3}, no, \\boxed{14}") == "14"
    assert evaluate.boxed("14") is None


def test_unclosed_thinking_has_no_answer():
    assert evaluate.split_thinking("Okay \\boxed{14}", thinks=True) == (None, "")
    assert evaluate.split_thinking("Okay</think>\n\n14", thinks=True) == ("Okay", "\n\n14")
