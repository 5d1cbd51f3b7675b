"""Writes tests/parity/fixtures: what transformers computes, in fp32 on the CPU.

    pip install torch==2.11.0 'transformers==4.57.*' safetensors numpy
    python tests/parity/make_fixtures.py

Run by hand when a shape is added; the test only reads what is committed. Weights
are not kept: they are a function of tensor name and index that this file and
worker/model/dummy_weights.cc both compute, to the bit.

fixtures/<model>/config.json          the shape
fixtures/<model>/expected.safetensors for each prompt i
    tokens.i   I32 [n]      the prompt, then the greedy continuation
    prompt.i   I32 [1]      the prompt's length
    first.i    I32 [1]      position of the first row of logits.i
    logits.i   F32 [n - 1 - first, V]
    noise.i    F32 [1]      largest difference of transformers' own bf16 logits
"""

import json
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

OUT = pathlib.Path(__file__).parent / "fixtures"
NEW_TOKENS = 10
# Of longer prompts only the last rows are kept.
KEPT_ROWS = 24

COMMON = dict(
    architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_act="silu",
    rms_norm_eps=1e-6, max_position_embeddings=1024, use_sliding_window=False,
    torch_dtype="float32")

MODELS = {
    # Query heads per KV head: 6, as in the 1.5B models.
    "tied-group6-dim64": dict(
        vocab_size=199, hidden_size=384, intermediate_size=608, num_hidden_layers=2,
        num_attention_heads=6, num_key_value_heads=1, rope_theta=1e6, tie_word_embeddings=True),
    "untied-group6-dim128": dict(
        vocab_size=131, hidden_size=96, intermediate_size=160, num_hidden_layers=3,
        num_attention_heads=12, num_key_value_heads=2, head_dim=128, rope_theta=1e4,
        tie_word_embeddings=False),
    # Sizes that no vector length divides.
    "untied-group1-dim16": dict(
        vocab_size=103, hidden_size=80, intermediate_size=154, num_hidden_layers=2,
        num_attention_heads=5, num_key_value_heads=5, rope_theta=1e4, tie_word_embeddings=False),
    "tied-group4-dim32": dict(
        vocab_size=151, hidden_size=256, intermediate_size=320, num_hidden_layers=4,
        num_attention_heads=8, num_key_value_heads=2, rope_theta=1e4, tie_word_embeddings=True),
}
PROMPT_LENGTHS = [1, 7, 16, 33, 400]


def splitmix64(x):
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def fnv1a64(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return np.uint64(value)


def weight(name, shape):
    index = np.arange(np.prod(shape), dtype=np.uint64)
    top = (splitmix64(fnv1a64(name) + index) >> np.uint64(40)).astype(np.float32)
    u = top * np.float32(2.0**-23) - np.float32(1)
    if len(shape) == 2:
        w = u * np.float32(np.sqrt(3.0 / shape[1]))
    elif name.endswith(".bias"):
        w = u * np.float32(0.5)
    else:
        w = np.float32(1) + u * np.float32(0.125)
    return torch.from_numpy(w.reshape(shape))


def build(shape):
    config = Qwen2Config(**{k: v for k, v in (COMMON | shape).items() if k != "architectures"})
    config._attn_implementation = "eager"
    model = Qwen2ForCausalLM(config).float().eval()
    state = {name: weight(name, tuple(old.shape)) for name, old in model.state_dict().items()
             if not (shape["tie_word_embeddings"] and name == "lm_head.weight")}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


@torch.no_grad()
def main():
    np.seterr(over="ignore")
    torch.set_num_threads(1)
    for name, shape in MODELS.items():
        model = build(shape)
        bf16 = build(shape).bfloat16()
        tensors = {}
        for i, length in enumerate(PROMPT_LENGTHS):
            tokens = (splitmix64(np.arange(length, dtype=np.uint64) + np.uint64(1000 * i))
                      % np.uint64(shape["vocab_size"])).astype(np.int64)
            tokens = torch.from_numpy(tokens)[None]
            for _ in range(NEW_TOKENS):
                logits = model(tokens).logits
                tokens = torch.cat([tokens, logits[:, -1:].argmax(-1)], 1)
            logits = model(tokens[:, :-1]).logits[0]
            first = max(0, len(logits) - KEPT_ROWS)
            noise = (bf16(tokens[:, :-1]).logits[0].float() - logits).abs().max()
            tensors |= {
                f"tokens.{i}": tokens[0].numpy().astype(np.int32),
                f"prompt.{i}": np.array([length], np.int32),
                f"first.{i}": np.array([first], np.int32),
                f"logits.{i}": logits[first:].contiguous().numpy(),
                f"noise.{i}": np.array([noise], np.float32),
            }
            top = logits[first:].topk(2).values
            gap = top[:, 0] - top[:, 1]
            print(f"{name} prompt {length}: std {logits.std():.2f}, bf16 noise {noise:.3f}, "
                  f"{(gap > 2 * noise).float().mean():.0%} of rows above it, "
                  f"least gap {gap.min():.4f}")
        (OUT / name).mkdir(parents=True, exist_ok=True)
        (OUT / name / "config.json").write_text(json.dumps(COMMON | shape, indent=1) + "\n")
        save_file(tensors, OUT / name / "expected.safetensors")


main()
