"""Trains a demo model from nothing, on one GPU, and writes it in Hugging Face's layout.

    python3 models/train/train.py --model r1
    python3 models/train/train.py --model math --out /tmp/demo --steps 200
"""

import argparse
import json
import pathlib
import time

import torch
from safetensors.torch import save_file

import batches
import tokenizer
from muon import Muon
from qwen2 import Qwen2, Shape

HERE = pathlib.Path(__file__).resolve().parent

# About four million parameters each, so that a folder stays below 8 MiB in bf16.
SHAPES = {
    "r1": Shape(tokenizer.VOCAB_ROWS, 256, 256, 5, 4, 2, tie_word_embeddings=False),
    "math": Shape(tokenizer.VOCAB_ROWS, 256, 384, 6, 4, 2, tie_word_embeddings=True),
}

CONTEXT = 2048
STEPS = {"r1": 6607, "math": 5622}  # three minutes each, both at once on one H200
TOKENS_PER_STEP = 2**14 * 3
WARMUP_STEPS = 100
CONSTANT_SHARE = 0.3  # then the rates fall to zero in a straight line
MEASURED_STEPS = (60, 160)  # past compilation; what --minutes extrapolates from
MUON_RATE = 0.02
MUON_DECAY = 0.01
ADAM_RATE = 0.003


def rate(step, steps):
    warmup = min(1.0, (step + 1) / WARMUP_STEPS)
    return warmup * min(1.0, (1 - step / steps) / (1 - CONSTANT_SHARE))


def optimizers(model):
    hidden, other = [], []
    for name, param in model.named_parameters():
        is_hidden = param.ndim == 2 and ".layers." in name
        (hidden if is_hidden else other).append(param)
    fused = next(model.parameters()).is_cuda
    return [Muon(hidden, lr=MUON_RATE, weight_decay=MUON_DECAY),
            torch.optim.AdamW(other, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0,
                              fused=fused)]


def fit(model, name, folder, args):
    """Trains in place; returns [(step, tokens seen, mean loss since the last entry)]."""
    device = next(model.parameters()).device
    both = optimizers(model)
    first_rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in both]
    curve, since, num_tokens, started = [], [], 0, time.time()
    source = batches.batches(name, folder, args.tokens_per_step, args.seed, args.workers)
    step = -1
    while (step := step + 1) < args.steps:
        inputs, labels = (torch.from_numpy(part).to(device).long() for part in next(source))
        num_tokens += (inputs > 0).sum()
        for optimizer, rates in zip(both, first_rates):
            for group, first in zip(optimizer.param_groups, rates):
                group["lr"] = first * rate(step, args.steps)
        with torch.autocast(device.type, torch.bfloat16):
            loss = model.head_loss(model(inputs), labels.flatten())
        loss.backward()
        for optimizer in both:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        since.append(loss.detach())
        if step + 1 == MEASURED_STEPS[0] and args.minutes:
            loss.item()
            measured_from = time.time()
        if step + 1 == MEASURED_STEPS[1] and args.minutes:
            loss.item()
            per_step = (time.time() - measured_from) / (MEASURED_STEPS[1] - MEASURED_STEPS[0])
            left = args.minutes * 60 - (time.time() - started)
            args.steps = step + 1 + max(1, round(left / per_step))
        if (step + 1) % args.log_every == 0 or step + 1 == args.steps:
            curve.append((step + 1, int(num_tokens), torch.stack(since).mean().item()))
            since = []
            print(f"{name} step {step + 1}/{args.steps} loss {curve[-1][2]:.4f} "
                  f"tokens {curve[-1][1] / 1e6:.0f}M seconds {time.time() - started:.0f}",
                  flush=True)
    source.close()
    return curve


def config(shape, bos, eos):
    return {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": bos,
        "eos_token_id": eos, "hidden_act": "silu", "hidden_size": shape.hidden_size,
        "initializer_range": 0.02, "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": CONTEXT, "max_window_layers": shape.num_hidden_layers,
        "model_type": "qwen2", "num_attention_heads": shape.num_attention_heads,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_key_value_heads": shape.num_key_value_heads, "rms_norm_eps": shape.rms_norm_eps,
        "rope_theta": shape.rope_theta, "sliding_window": CONTEXT,
        "tie_word_embeddings": shape.tie_word_embeddings, "torch_dtype": "bfloat16",
        "transformers_version": "4.44.0", "use_cache": True, "use_sliding_window": False,
        "vocab_size": shape.vocab_size}


def write(model, name, folder):
    """config.json, generation_config.json and model.safetensors."""
    first = tokenizer.BASE_TOKENS  # <｜end▁of▁sentence｜> or <|endoftext|>
    if name == "r1":
        described = config(model.shape, first, first)
        generation = {"_from_model_config": True,
                      "bos_token_id": tokenizer.token_id(name, tokenizer.chat.BOS),
                      "eos_token_id": first, "do_sample": True, "temperature": 0.6, "top_p": 0.95,
                      "transformers_version": "4.44.0"}
    else:
        end = tokenizer.token_id(name, "<|im_end|>")
        described = config(model.shape, first, end)
        generation = {"bos_token_id": first, "do_sample": False, "eos_token_id": [end, first],
                      "max_new_tokens": 1024, "pad_token_id": first,
                      "transformers_version": "4.44.0"}
    for file, content in (("config.json", described), ("generation_config.json", generation)):
        (folder / file).write_text(json.dumps(content, indent=2) + "\n")
    save_file(model.checkpoint(), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def draw_curve(curve, title, file):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.2), dpi=80)
    axes.plot([tokens / 1e6 for _, tokens, _ in curve], [loss for *_, loss in curve])
    axes.set(xlabel="million tokens", ylabel="cross entropy of answers (nats per token)",
             yscale="log", title=title)
    axes.grid(alpha=0.3, which="both")
    figure.tight_layout()
    figure.savefig(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=sorted(SHAPES), required=True)
    parser.add_argument("--out", type=pathlib.Path, help="default: models/weft-demo-MODEL")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float, help="choose the steps to last about so long")
    parser.add_argument("--tokens-per-step", type=int, default=TOKENS_PER_STEP)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=8, help="processes that make data")
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    args.steps = args.steps or STEPS[args.model]
    folder = args.out or HERE.parent / f"weft-demo-{args.model}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer.json").exists():
        tokenizer.write(args.model, *tokenizer.train(tokenizer.corpus()), folder)

    started = time.time()
    torch.set_num_threads(4)  # the cores are for the data
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    model = Qwen2(SHAPES[args.model]).to(args.device)
    num_parameters = sum(param.numel() for param in model.parameters())
    print(f"{args.model}: {num_parameters:,} parameters", flush=True)
    if args.device == "cuda":
        model.compile()
    curve = fit(model, args.model, folder, args)
    seconds = time.time() - started
    write(model, args.model, folder)
    draw_curve(curve, f"weft-demo-{args.model}", folder / "loss.png")
    record = dict(model=args.model, parameters=num_parameters, seed=args.seed, steps=args.steps,
                  tokens_per_step=args.tokens_per_step, tokens=curve[-1][1],
                  seconds=round(seconds), last_loss=round(curve[-1][2], 5),
                  device=torch.cuda.get_device_name() if args.device == "cuda" else "CPU")
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
