# SPDX-License-Identifier: Apache-2.0
"""CLIP's, SigLIP's and RADIO's image towers in plain torch, written down from the published equations.

Independent of the C++ code on purpose, as reference_models.py is: dictionaries from checkpoint key to tensor, fp32,
inference mode. One set of names (timm's) inside; `from_*` rename a checkpoint into it.
"""
import math

import torch
import torch.nn.functional as F

# --- one pre-norm transformer for all ---------------------------------------------------------------------------------


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def _norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], eps)


def _linear(w, name, x):
    return F.linear(x, w[name + ".weight"], w[name + ".bias"])


def block(w, i, x, heads, eps, activation):
    """`x`: N x C, the sequence of one picture."""
    b = f"blocks.{i}."
    q, k, v = _linear(w, b + "attn.qkv", _norm(w, b + "norm1", x, eps)).chunk(3, -1)
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(0, 1) for t in (q, k, v))
    weights = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1)
    x = x + _linear(w, b + "attn.proj", (weights @ v).transpose(0, 1).flatten(1))
    return x + _linear(w, b + "mlp.fc2", activation(_linear(w, b + "mlp.fc1", _norm(w, b + "norm2", x, eps))))


def values(w, i, x, eps):
    """What a block's values alone become: no attention, no residual, no MLP (MaskCLIP)."""
    b = f"blocks.{i}."
    return _linear(w, b + "attn.proj", _linear(w, b + "attn.qkv", _norm(w, b + "norm1", x, eps)).chunk(3, -1)[2])


def depth(w):
    return sum(key.endswith(".norm1.weight") for key in w)


def patches(picture, weight, bias=None):
    """1 x 3 x H x W to N x C and the grid."""
    x = F.conv2d(picture, weight, bias, stride=weight.shape[-1])
    return x.flatten(2)[0].t(), x.shape[-2:]


def bicubic_table(table, grid, antialias=False, offset=None):
    """A square table N x C for `grid`; with `offset` by scale factor, as DINOv2's and LoftUp's code does."""
    side = math.isqrt(table.shape[0])
    if tuple(grid) == (side, side):
        return table
    maps = table.t().reshape(1, -1, side, side)
    how = {"size": tuple(grid)}
    if offset is not None:
        how = {"scale_factor": tuple((n + offset) / side for n in grid), "recompute_scale_factor": False}
    return F.interpolate(maps, mode="bicubic", align_corners=False, antialias=antialias, **how).flatten(2)[0].t()


# --- CLIP (Radford et al. 2021) ---------------------------------------------------------------------------------------


def from_openai_clip(state):
    names = {
        "transformer.resblocks.": "blocks.",
        "attn.in_proj_": "attn.qkv.",
        "attn.out_proj": "attn.proj",
        "ln_1": "norm1",
        "ln_2": "norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    w = {}
    for key, value in state.items():
        key = key.removeprefix("visual.")
        for old, new in names.items():
            key = key.replace(old, new)
        w[key] = value.float()
    return w


def clip(w, picture, plain, activation=quick_gelu, offset=0.1):
    """Patch tokens (N x channels) of `w` from from_openai_clip."""
    eps = 1e-5
    x, grid = patches(picture, w["conv1.weight"])
    table = w["positional_embedding"]
    x = torch.cat([w["class_embedding"][None], x]) + torch.cat([table[:1], bicubic_table(table[1:], grid, offset=offset)])
    x = _norm(w, "ln_pre", x, eps)
    last = depth(w) - 1
    for i in range(last):
        x = block(w, i, x, x.shape[1] // 64, eps, activation)
    x = block(w, last, x, x.shape[1] // 64, eps, activation) if plain else values(w, last, x, eps)
    return (_norm(w, "ln_post", x, eps) @ w["proj"])[1:]


# --- SigLIP (Zhai et al. 2023), timm's names --------------------------------------------------------------------------


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def siglip(w, picture, activation=F.gelu, antialias=True):
    eps = 1e-6
    x, grid = patches(picture, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"])
    x = x + bicubic_table(w["pos_embed"][0], grid, antialias=antialias)
    for i in range(depth(w)):
        x = block(w, i, x, x.shape[1] // 64, eps, activation)
    return _norm(w, "norm", x, eps)


# --- RADIO (Ranzinger et al. 2024), names of the published checkpoints without their prefix ---------------------------


def random_radio(width, blocks, patch, side, prefix_tokens, seed=0):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape, std=1.0, mean=0.0):
        return torch.randn(*shape, generator=g) * std + mean

    w = {
        "patch_generator.embedder.weight": normal(width, 3 * patch * patch, std=1 / math.sqrt(3 * patch * patch)),
        "patch_generator.pos_embed": normal(1, side * side, width, std=0.5),
        "patch_generator.cls_token.token": normal(prefix_tokens, width),
    }

    def linear(name, inputs, outputs):
        w[name + ".weight"] = normal(outputs, inputs, std=1 / math.sqrt(inputs))
        w[name + ".bias"] = normal(outputs, std=0.1)

    for i in range(blocks):
        b = f"blocks.{i}."
        for norm in ("norm1", "norm2"):
            w[b + norm + ".weight"] = normal(width, std=0.1, mean=1)
            w[b + norm + ".bias"] = normal(width, std=0.1)
        linear(b + "attn.qkv", width, 3 * width)
        linear(b + "attn.proj", width, width)
        linear(b + "mlp.fc1", width, 4 * width)
        linear(b + "mlp.fc2", 4 * width, width)
    return w


def radio(w, picture):
    """Patch tokens of a picture that went through the input conditioner. No norm at the end: the published models
    have none. The position table, trained with random crops, is resized to the square that the grid's longer side
    spans, and its upper left corner is taken."""
    eps = 1e-6
    weight = w["patch_generator.embedder.weight"]
    patch = math.isqrt(weight.shape[1] // 3)
    x, grid = patches(picture, weight.view(-1, 3, patch, patch))
    table = w["patch_generator.pos_embed"][0]
    side = math.isqrt(table.shape[0])
    if tuple(grid) != (side, side):
        maps = table.t().reshape(1, -1, side, side)
        longest = max(grid)
        maps = F.interpolate(maps, size=(longest, longest), mode="bilinear", align_corners=False)
        table = maps[0, :, : grid[0], : grid[1]].flatten(1).t()
    token = w["patch_generator.cls_token.token"]
    x = torch.cat([token, x + table])
    for i in range(depth(w)):
        x = block(w, i, x, x.shape[1] // 64, eps, F.gelu)
    return x[token.shape[0] :]
