"""Trains the byte-level BPE and writes it exactly as Qwen2's tokenizer.json is laid out.

    python3 models/train/tokenizer.py --model r1 --out models/weft-demo-r1

Both models share vocabulary and merges; the 22 tokens added behind them are the
real ones of R1-Distill or of Qwen2.5-Instruct, in their order.
"""

import argparse
import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

import chat
import problems
import vocabulary

# 256 bytes + merges. With the added tokens 4,022 ids; config.json says 4,096 rows,
# so there are rows behind the last id, as in every Qwen2 checkpoint.
BASE_TOKENS = 4000
VOCAB_ROWS = 4096

CONVERSATIONS = 30_000

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")

VISION = ["<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
          "<|image_pad|>", "<|video_pad|>"]
TOOLS = ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
         "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]

# (content, special): what is special is skipped when text is decoded.
ADDED = {
    "r1": [(chat.EOS, True), (chat.USER, False), (chat.ASSISTANT, False), (chat.BOS, True),
           ("<|EOT|>", False), ("<think>", False), ("</think>", False)]
    + [(token, True) for token in VISION] + [(token, False) for token in TOOLS],
    "math": [(token, True) for token in
             ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>",
              "<|object_ref_end|>", "<|box_start|>", "<|box_end|>"] + VISION]
    + [(token, False) for token in TOOLS],
}

# Key order of an added token in the real files, by its place.
KEYS = [("single_word", "lstrip", "rstrip", "normalized")] * 3 + \
    [("normalized", "lstrip", "rstrip", "single_word")] * 11 + \
    [("lstrip", "normalized", "rstrip", "single_word")] * 8


def token_id(model, content):
    return BASE_TOKENS + [token for token, _ in ADDED[model]].index(content)


def corpus(conversations=CONVERSATIONS, seed=0):
    """Conversations of both models, and everyday words as often as a rare name."""
    rng = random.Random(seed)
    for index in range(conversations):
        for text, _ in problems.segments(rng, "r1" if index % 2 else "math"):
            for token, _ in ADDED["r1"] + ADDED["math"]:
                text = text.replace(token, "\n")
            yield text
    for word in vocabulary.WORDS + vocabulary.TOPICS + vocabulary.HE + vocabulary.SHE:
        for _ in range(max(2, conversations // 3000)):
            yield f"{word} {word} {word.capitalize()}"


def train(texts, base_tokens=BASE_TOKENS):
    """(vocab, merges): the 256 bytes first, then one token per merge."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=base_tokens, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[], show_progress=False))
    trained = json.loads(tokenizer.to_str())["model"]
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in trained["merges"]]
    vocab = dict(sorted(trained["vocab"].items(), key=lambda entry: entry[1]))
    assert len(vocab) == base_tokens == 256 + len(merges), (len(vocab), len(merges))
    return vocab, merges


def tokenizer_json(model, vocab, merges):
    """The whole file as a dict, keys in the order of the real ones."""

    def byte_level():
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
                "use_regex": False}

    added = [{"id": len(vocab) + place, "content": content, **{key: False for key in KEYS[place]},
              "special": special}
             for place, (content, special) in enumerate(ADDED[model])]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False},
            byte_level()]},
        "post_processor": byte_level(), "decoder": byte_level(),
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                  "byte_fallback": False, "vocab": vocab, "merges": merges}}


def tokenizer_config(model):
    """tokenizer_config.json with the chat template.

    R1-Distill names LlamaTokenizerFast, which newer transformers take at its word and
    then drop spaces; PreTrainedTokenizerFast reads the same tokenizer.json in all of them.
    """
    if model == "r1":
        def added(content):
            return {"__type": "AddedToken", "content": content, "lstrip": False,
                    "normalized": True, "rstrip": False, "single_word": False}

        return {"add_bos_token": True, "add_eos_token": False, "bos_token": added(chat.BOS),
                "clean_up_tokenization_spaces": False, "eos_token": added(chat.EOS),
                "legacy": True, "model_max_length": 2048, "pad_token": added(chat.EOS),
                "sp_model_kwargs": {}, "unk_token": None,
                "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": chat.R1_TEMPLATE}
    flags = {key: False for key in ("lstrip", "normalized", "rstrip", "single_word")}
    return {"add_bos_token": False, "add_prefix_space": False,
            "added_tokens_decoder": {
                str(BASE_TOKENS + place): {"content": content, **flags, "special": special}
                for place, (content, special) in enumerate(ADDED[model])},
            "additional_special_tokens": [content for content, special in ADDED[model][1:]
                                          if special],
            "bos_token": None, "chat_template": chat.CHATML_TEMPLATE,
            "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>",
            "errors": "replace", "model_max_length": 2048, "pad_token": "<|endoftext|>",
            "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None}


def write(model, vocab, merges, out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in (("tokenizer.json", tokenizer_json(model, vocab, merges)),
                          ("tokenizer_config.json", tokenizer_config(model))):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (out / name).write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=sorted(ADDED), required=True)
    parser.add_argument("--out", required=True, help="folder for the two files")
    args = parser.parse_args()
    write(args.model, *train(corpus()), args.out)


if __name__ == "__main__":
    main()
