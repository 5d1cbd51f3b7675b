"""Model folders that tests make: random weights behind another model's tokenizer.

What a tiny one says makes no sense, but it says it fast, and always the same under
greedy decoding.
"""

import json
import pathlib
import shutil

import numpy
import safetensors.numpy

TINY = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True,
        "rope_theta": 10000.0, "max_position_embeddings": 4096}
# DeepSeek-R1-Distill-Qwen-1.5B's config.json.
R1_1_5B = {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
           "num_attention_heads": 12, "num_key_value_heads": 2, "tie_word_embeddings": False,
           "rope_theta": 10000.0, "max_position_embeddings": 131072, "vocab_size": 151936}


def write_config(folder, like, shape, dtype):
    """`folder` gets a tokenizer from the model folder `like`, and a config.json."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (like / name).exists():
            shutil.copy(like / name, folder / name)
    tokenizer = json.loads((like / "tokenizer.json").read_text())
    names = json.loads((like / "tokenizer_config.json").read_text())
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}

    def id_of(name):
        token = names.get(name)
        return ids.get(token["content"] if isinstance(token, dict) else token)

    config = {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
        "rms_norm_eps": 1e-6, "use_sliding_window": False, "torch_dtype": dtype,
        "bos_token_id": id_of("bos_token"), "eos_token_id": id_of("eos_token"),
        "vocab_size": 1 + max([*tokenizer["model"]["vocab"].values(), *ids.values()]), **shape}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return config


def write_tiny_model(folder, like, seed=1, **shape):
    """A whole fp32 checkpoint; returns its folder."""
    config = write_config(folder, like, {**TINY, **shape}, "float32")
    random = numpy.random.default_rng(seed)
    hidden, middle = config["hidden_size"], config["intermediate_size"]
    head = hidden // config["num_attention_heads"]
    kv = config["num_key_value_heads"] * head

    def matrix(rows, columns):
        return (random.standard_normal((rows, columns)) / columns**0.5).astype(numpy.float32)

    def vector(size, mean=0.0):
        return (mean + 0.1 * random.standard_normal(size)).astype(numpy.float32)

    tensors = {"model.embed_tokens.weight": matrix(config["vocab_size"], hidden) * 8,
               "model.norm.weight": vector(hidden, 1.0)}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        for name, rows in (("q", hidden), ("k", kv), ("v", kv)):
            tensors[f"{at}self_attn.{name}_proj.weight"] = matrix(rows, hidden)
            tensors[f"{at}self_attn.{name}_proj.bias"] = vector(rows)
        tensors[f"{at}self_attn.o_proj.weight"] = matrix(hidden, hidden)
        tensors[f"{at}mlp.gate_proj.weight"] = matrix(middle, hidden)
        tensors[f"{at}mlp.up_proj.weight"] = matrix(middle, hidden)
        tensors[f"{at}mlp.down_proj.weight"] = matrix(hidden, middle)
        tensors[f"{at}input_layernorm.weight"] = vector(hidden, 1.0)
        tensors[f"{at}post_attention_layernorm.weight"] = vector(hidden, 1.0)
    safetensors.numpy.save_file(tensors, pathlib.Path(folder) / "model.safetensors",
                                metadata={"format": "pt"})
    return pathlib.Path(folder)
