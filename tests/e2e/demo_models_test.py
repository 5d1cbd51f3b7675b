"""The shipped models answer through the whole stack as `make serve` starts it: bf16."""

import pytest
import stack

QUESTIONS = [("What is 17 + 25?", "42"),
             ("Tom has 12 apples, buys 7 and eats 5. How many are left?", "14")]


@pytest.mark.parametrize("model, has_reasoning", [("demo_model", True), ("math_model", False)])
def test_a_demo_model_answers(bin_dir, request, model, has_reasoning):
    with (stack.Served(bin_dir, request.getfixturevalue(model)) as served,
          served.client() as client):
        for question, expected in QUESTIONS:
            choice = client.chat.completions.create(
                model=served.served_name, temperature=0,
                messages=[{"role": "user", "content": question}]).choices[0]
            assert choice.finish_reason == "stop"
            assert f"\\boxed{{{expected}}}" in choice.message.content
            assert bool(choice.message.reasoning_content) == has_reasoning
