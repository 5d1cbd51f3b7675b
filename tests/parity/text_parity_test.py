"""Text to tokens as transformers does it: strings in many scripts and conversations
through every model folder at hand, over the real gateway."""

import json
import os
import pathlib
import random
import sys

import pytest
import stack
from raw import Connection, wire

# The wheel's LibTorch cannot be imported here, and tokenizers need none.
sys.modules.setdefault("torch", None)
transformers = pytest.importorskip("transformers")

ROOT = pathlib.Path(__file__).resolve().parents[2]
OFFICIAL = pathlib.Path(os.environ.get("WEFT_TEST_DATA", ROOT.parent / "shared")) / "models"
FOLDERS = [ROOT / "models/weft-demo-r1", ROOT / "models/weft-demo-math",
           OFFICIAL / "DeepSeek-R1-Distill-Qwen-1.5B", OFFICIAL / "Qwen2.5-1.5B-Instruct"]
NUM_STRINGS = 10_000  # over all folders that are there

SCRIPTS = [
    (0x20, 0x7e), (0xa0, 0x17f), (0x250, 0x2af), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x4ff),
    (0x531, 0x587), (0x590, 0x5ff), (0x600, 0x6ff), (0x900, 0x97f), (0x980, 0x9ff),
    (0xb80, 0xbff), (0xe00, 0xe7f), (0xf00, 0xfff), (0x10a0, 0x10ff), (0x1100, 0x11ff),
    (0x1200, 0x137f), (0x13a0, 0x13ff), (0x1780, 0x17ff), (0x1f00, 0x1fff), (0x2000, 0x206f),
    (0x2100, 0x214f), (0x2200, 0x22ff), (0x2600, 0x27bf), (0x3040, 0x30ff), (0x3400, 0x4dbf),
    (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0xe000, 0xe0ff), (0xf900, 0xfaff), (0xfe00, 0xfe0f),
    (0xff00, 0xffef), (0x10000, 0x1007f), (0x12000, 0x1200f), (0x1d400, 0x1d7ff),
    (0x1f1e6, 0x1f1ff), (0x1f300, 0x1f64f), (0x1f900, 0x1f9ff), (0x20000, 0x2a6df),
    (0, 0x1f), (0x7f, 0x9f), (0x10fff0, 0x10ffff)]
PIECES = ["hello", " the", "don't", "WE'LL", " I'd", "\r\n", "\n\n\n", "   ", "\t\t", " \n ", "3.14159",
          "1234567", " ½", "e\u0301", "A\u030a", "\u1112\u1161\u11ab", "👩‍👩‍👧", "🏳️‍🌈", "ﬁ", "ǅ", "İ",
          "if (a<b) {", "//", "===", "x_y", "\\frac{1}{2}", "$$", "日本語", "한국어", "नमस्ते", "สวัสดี", "مرحبا",
          "שלום", "Привет", "\u200b", "\ufeff", "\u00ad", "'", "''", "’s", "\0"]


def strings(rng, count, control_tokens):
    """Words of one script, of several, and of what tokenizers cut at."""
    def piece():
        kind = rng.random()
        if kind < 0.4:
            return rng.choice(PIECES)
        if kind < 0.45:
            return rng.choice(control_tokens)
        low, high = rng.choice(SCRIPTS)
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 8)))
    return ["".join(piece() for _ in range(rng.randint(0, 12))) for _ in range(count)]


CONVERSATIONS = [
    [{"role": "user", "content": "hi"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " 17 + 25?\n"}],
    [{"role": "user", "content": "日本 👩‍👧"}, {"role": "assistant", "content": "ä\n"},
     {"role": "user", "content": ""}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nb\n</think>\n\nc"},
     {"role": "user", "content": "d"}, {"role": "assistant", "content": "e"},
     {"role": "user", "content": "{{ f }} {% g %} \"'\\"}],
    [{"role": "system", "content": ""}, {"role": "user", "content": "x" * 500}],
]


class Gateway(stack.Tiers):
    """Alone: nobody is asked for tokens but the tokenizer."""

    def __init__(self, bin_dir, model):
        super().__init__(bin_dir, model)
        self.tiers = ("gateway",)

    def wait_ready(self):
        def listens():
            try:
                return stack.get(self.port, "/version")[0] == 200
            except OSError:
                return False
        assert stack.eventually(listens, stack.START_LIMIT_S), self.log()[-3000:]

    def ask_all(self, path, bodies):
        """The answers to many requests, pipelined in parts that fit any buffer."""
        answers = []
        with Connection(self.port) as connection:
            for begin in range(0, len(bodies), 40):
                part = bodies[begin:begin + 40]
                connection.send(b"".join(wire(path, json.dumps(body)) for body in part))
                for _ in part:
                    answer = connection.answer()
                    assert answer.status == 200, answer.text
                    answers.append(answer.json())
        return answers


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def both(request, bin_dir):
    """The gateway and transformers, on one model folder."""
    if not (request.param / "tokenizer.json").exists():
        pytest.skip(f"no tokenizer in {request.param}")
    # The class is named: what tokenizer_config.json calls it is another one by now.
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(request.param)
    with Gateway(bin_dir, request.param) as gateway:
        yield gateway, theirs


@pytest.fixture
def rng():
    seed = int(os.environ.get("WEFT_TEST_SEED", random.randrange(1 << 32)))
    print("replay with WEFT_TEST_SEED =", seed)
    return random.Random(seed)


def expect_same(ours, theirs, of):
    """Without pytest's comparison, which takes minutes for such strings."""
    if ours != theirs:
        pytest.fail(f"of {of!a}:\nours   {ours!a}\ntheirs {theirs!a}", pytrace=False)


def test_random_strings(both, rng):
    gateway, theirs = both
    count = NUM_STRINGS // sum((folder / "tokenizer.json").exists() for folder in FOLDERS)
    texts = strings(rng, count, theirs.all_special_tokens)
    # In a client's text a control token's name is text.
    expected = theirs(texts, add_special_tokens=False, split_special_tokens=True).input_ids
    answers = gateway.ask_all("/tokenize", [{"prompt": text, "add_special_tokens": False}
                                            for text in texts])
    for text, ids, answer in zip(texts, expected, answers):
        expect_same(answer["tokens"], ids, text)
    back = gateway.ask_all("/detokenize", [{"tokens": ids} for ids in expected])
    decoded = theirs.batch_decode(expected, clean_up_tokenization_spaces=False)
    for ids, text, answer in zip(expected, decoded, back):
        expect_same(answer["prompt"], text, ids)


def test_random_tokens(both, rng):
    """Also what is no text: halves of characters, control tokens among them."""
    gateway, theirs = both
    size = len(theirs)  # which they count anew each time
    tokens = [[rng.randrange(rng.choice([256, size])) for _ in range(rng.randint(1, 20))]
              for _ in range(500)]
    answers = gateway.ask_all("/detokenize", [{"tokens": ids} for ids in tokens])
    expected = theirs.batch_decode(tokens, clean_up_tokenization_spaces=False)
    for ids, text, answer in zip(tokens, expected, answers):
        expect_same(answer["prompt"], text, ids)


@pytest.mark.parametrize("add_generation_prompt", [True, False])
def test_conversations(both, add_generation_prompt):
    gateway, theirs = both
    answers = gateway.ask_all("/tokenize", [
        {"messages": messages, "add_generation_prompt": add_generation_prompt}
        for messages in CONVERSATIONS])
    for messages, answer in zip(CONVERSATIONS, answers):
        expected = theirs.apply_chat_template(messages, tokenize=True,
                                              add_generation_prompt=add_generation_prompt)
        expect_same(answer["tokens"], expected["input_ids"], messages)
