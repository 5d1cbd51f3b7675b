"""The Qwen2 architecture for training: parameters named and laid out as in Hugging Face's.

All rows of a batch have one length, so everything but attention sees one flat list
of tokens of constant size: it compiles once, whatever the length.
"""

import dataclasses
import functools

import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass(frozen=True)
class Shape:
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    tie_word_embeddings: bool
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6

    @property
    def head_dim(self):
        return self.hidden_size // self.num_attention_heads


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        kv_size = shape.num_key_value_heads * shape.head_dim
        self.q_proj = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.k_proj = nn.Linear(shape.hidden_size, kv_size)
        self.v_proj = nn.Linear(shape.hidden_size, kv_size)
        self.o_proj = nn.Linear(shape.hidden_size, shape.hidden_size, bias=False)


class MLP(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


def _rotate(x, cos, sin):  # [T, heads, head_dim], [T, 1, head_dim]
    low, high = x.float().chunk(2, dim=-1)
    return x.float() * cos + torch.cat((-high, low), dim=-1) * sin


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.self_attn = Attention(shape)
        self.mlp = MLP(shape)
        self.input_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)

    def before(self, x, cos, sin):
        """Queries, keys and values, [T, heads, head_dim] each."""
        n = self.input_layernorm(x)
        size = self.shape.head_dim
        q = self.self_attn.q_proj(n).unflatten(-1, (-1, size))
        k = self.self_attn.k_proj(n).unflatten(-1, (-1, size))
        v = self.self_attn.v_proj(n).unflatten(-1, (-1, size))
        return _rotate(q, cos, sin).to(v.dtype), _rotate(k, cos, sin).to(v.dtype), v

    def after(self, x, attended):
        x = x + self.self_attn.o_proj(attended)
        return x + self.mlp(self.post_attention_layernorm(x))

    def forward(self, x, cos, sin, rows):
        q, k, v = (part.unflatten(0, (rows, -1)).transpose(1, 2)
                   for part in self.before(x, cos, sin))  # [rows, heads, length, head_dim]
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.after(x, attended.transpose(1, 2).flatten(0, 1).flatten(1))


class Body(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)


class Qwen2(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.model = Body(shape)
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for layer in self.model.layers:  # the residual stream starts out quiet
            scale = (2 * shape.num_hidden_layers) ** -0.5
            layer.self_attn.o_proj.weight.data.mul_(scale)
            layer.mlp.down_proj.weight.data.mul_(scale)
        if shape.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def compile(self):
        """Compiles what has one shape; layers share the compiled code."""
        before, after = torch.compile(Layer.before), torch.compile(Layer.after)
        for layer in self.model.layers:
            layer.before = functools.partial(before, layer)
            layer.after = functools.partial(after, layer)
        self.head_loss = torch.compile(self.head_loss)

    def forward(self, tokens):  # [rows, length] -> [rows * length, hidden]
        rows, length = tokens.shape
        half = torch.arange(0, self.shape.head_dim, 2, device=tokens.device)
        inverse = self.shape.rope_theta ** (-half / self.shape.head_dim)
        angles = torch.arange(length, device=tokens.device)[:, None] * inverse
        angles = torch.cat((angles, angles), dim=-1).repeat(rows, 1)[:, None]  # [T, 1, head_dim]
        cos, sin = angles.cos(), angles.sin()
        x = self.model.embed_tokens(tokens.flatten())
        for layer in self.model.layers:
            x = layer(x, cos, sin, rows)
        return x

    def logits(self, x):
        return self.lm_head(self.model.norm(x)).float()

    def head_loss(self, x, labels):
        """Mean cross entropy over the labels that are not negative."""
        return F.cross_entropy(self.logits(x), labels, ignore_index=-1)

    def checkpoint(self):
        """Tensors as a Qwen2 checkpoint names them, in bf16."""
        return {name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
                for name, tensor in self.state_dict().items()
                if not (self.shape.tie_word_embeddings and name == "lm_head.weight")}
