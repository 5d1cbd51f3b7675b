"""The tokenizer files: laid out like Qwen2's, and templates that agree with training."""

import json
import pathlib
import random

import pytest

jinja2 = pytest.importorskip("jinja2")
tokenizers = pytest.importorskip("tokenizers")

import chat  # noqa: E402
import problems  # noqa: E402
import tokenizer  # noqa: E402

MODELS = pathlib.Path(__file__).resolve().parent.parent
SMALL = 700


@pytest.fixture(scope="module")
def small():
    """A quickly trained vocabulary and its merges."""
    return tokenizer.train(list(tokenizer.corpus(conversations=300)), base_tokens=SMALL)


def load(model, small, tmp_path):
    tokenizer.write(model, *small, tmp_path)
    return tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))


def shipped(model):
    folder = MODELS / f"weft-demo-{model}"
    if not (folder / "tokenizer.json").exists():
        pytest.skip("not trained yet")
    return folder


def test_training_is_deterministic(small):
    assert small == tokenizer.train(list(tokenizer.corpus(conversations=300)), base_tokens=SMALL)


def test_ids_are_bytes_then_merges_in_order(small):
    vocab, merges = small
    assert list(vocab.values()) == list(range(SMALL))
    assert list(vocab)[0] == "!"
    for rank, merge in enumerate(merges):
        assert vocab[merge.replace(" ", "")] == 256 + rank


@pytest.mark.parametrize("model", ["r1", "math"])
def test_every_text_survives(model, small, tmp_path):
    loaded = load(model, small, tmp_path)
    for text in ("Tom has 12 apples.", "你好，世界！", "a\n\n b\t\r\n  c ", "naïve 🙂 ½", "\x00\x7f"):
        assert loaded.decode(loaded.encode(text, add_special_tokens=False).ids,
                             skip_special_tokens=False) == text


def test_digits_stand_alone_and_text_is_normalized(small, tmp_path):
    loaded = load("math", small, tmp_path)
    assert loaded.encode("347", add_special_tokens=False).tokens == ["3", "4", "7"]
    assert loaded.encode("e\u0301").ids == loaded.encode("\u00e9").ids


@pytest.mark.parametrize("model", ["r1", "math"])
def test_added_tokens_are_the_real_ones(model):
    added = json.loads((shipped(model) / "tokenizer.json").read_text())["added_tokens"]
    assert [token["id"] for token in added] == list(range(4000, 4022))
    special = {token["content"] for token in added if token["special"]}
    if model == "r1":
        assert [token["content"] for token in added[:7]] == [
            "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜begin▁of▁sentence｜>", "<|EOT|>",
            "<think>", "</think>"]
        assert not special & {"<think>", "</think>", "<｜User｜>", "<｜Assistant｜>"}
    else:
        assert [token["content"] for token in added[:3]] == ["<|endoftext|>", "<|im_start|>",
                                                              "<|im_end|>"]
        assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>"} <= special


@pytest.mark.parametrize("model", ["r1", "math"])
def test_shipped_files_are_what_the_code_writes(model, tmp_path):
    folder = shipped(model)
    trained = json.loads((folder / "tokenizer.json").read_text())["model"]
    tokenizer.write(model, trained["vocab"], trained["merges"], tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("model", ["r1", "math"])
def test_shipped_folder_is_small_and_whole(model):
    folder = shipped(model)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 8 * 2**20
    config = json.loads((folder / "config.json").read_text())
    assert config["vocab_size"] == tokenizer.VOCAB_ROWS > tokenizer.BASE_TOKENS + 22
    assert config["hidden_size"] // config["num_attention_heads"] == 64


def messages(system, turns, question):
    out = [dict(role="system", content=system)] if system else []
    for user, reply in turns:
        out += [dict(role="user", content=user), dict(role="assistant", content=reply)]
    return out + [dict(role="user", content=question)]


@pytest.mark.parametrize("system", [None, "Be brief."])
def test_templates_render_what_is_trained_on(system):
    past = [("What is 2 + 2?", "It is 4.\n\n\\boxed{4}")]
    for template, segments, bos in (
            (chat.R1_TEMPLATE, chat.r1_segments(system, past, "And 3?", "answer"), chat.BOS),
            (chat.CHATML_TEMPLATE, chat.chatml_segments(system, past + [("And 3?", "answer")]), "")):
        rendered = jinja2.Environment().from_string(template).render(
            messages=messages(system, past, "And 3?"), bos_token=bos, add_generation_prompt=True)
        assert rendered == "".join(text for text, _ in segments[:-1])


def test_past_reasoning_is_cut():
    rendered = jinja2.Environment().from_string(chat.R1_TEMPLATE).render(
        messages=messages(None, [("a", "long\n</think>\n\nb")], "c"), bos_token=chat.BOS,
        add_generation_prompt=True)
    assert rendered == (f"{chat.BOS}<｜User｜>a<｜Assistant｜>\n\nb{chat.EOS}<｜User｜>c<｜Assistant｜>"
                        "<think>\n")


@pytest.mark.parametrize("model", ["r1", "math"])
def test_pieces_of_a_conversation_tokenize_as_the_whole(model, small, tmp_path):
    # The prompt of r1 ends in a line break, and so may be cut apart from what follows.
    loaded, rng = load(model, small, tmp_path), random.Random(3)
    for _ in range(100):
        segments = problems.segments(rng, model)
        pieces = [token for text, _ in segments
                  for token in loaded.encode(text, add_special_tokens=False).ids]
        whole = loaded.encode("".join(text for text, _ in segments), add_special_tokens=False).ids
        assert pieces == whole or model == "r1"
