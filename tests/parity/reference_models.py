# SPDX-License-Identifier: Apache-2.0
"""DINOv2's vision transformer and LoftUp in plain torch, written down from the published equations.

Independent of the C++ code on purpose: both were written from the papers and from the key names of the published
checkpoints, so that agreement means something. Weights are dictionaries from checkpoint key to tensor; the functions
follow the equations and compute in fp32 and in inference ("eval") mode.
"""
import math

import torch
import torch.nn.functional as F


# --- DINOv2 (Oquab et al. 2023; registers: Darcet et al. 2023), key names of the official checkpoints ----------------


def random_dinov2(width, depth, grid, patch, registers=0, swiglu=False, seed=0):
    """Weights away from their initial values, so that no parameter can be forgotten unnoticed."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape, std=1.0, mean=0.0):
        return torch.randn(*shape, generator=g) * std + mean

    w = {
        "cls_token": normal(1, 1, width),
        "pos_embed": normal(1, grid * grid + 1, width, std=0.5),
        "mask_token": torch.zeros(1, width),
        "patch_embed.proj.weight": normal(width, 3, patch, patch, std=1 / math.sqrt(3 * patch * patch)),
        "patch_embed.proj.bias": normal(width, std=0.1),
    }
    if registers:
        w["register_tokens"] = normal(1, registers, width)

    def linear(name, inputs, outputs):
        w[name + ".weight"] = normal(outputs, inputs, std=1 / math.sqrt(inputs))
        w[name + ".bias"] = normal(outputs, std=0.1)

    def norm(name):
        w[name + ".weight"] = normal(width, std=0.1, mean=1)
        w[name + ".bias"] = normal(width, std=0.1)

    for i in range(depth):
        block = f"blocks.{i}."
        norm(block + "norm1")
        linear(block + "attn.qkv", width, 3 * width)
        linear(block + "attn.proj", width, width)
        w[block + "ls1.gamma"] = normal(width, std=0.2, mean=0.6)
        norm(block + "norm2")
        if swiglu:
            hidden = (int(4 * width * 2 / 3) + 7) // 8 * 8
            linear(block + "mlp.w12", width, 2 * hidden)
            linear(block + "mlp.w3", hidden, width)
        else:
            linear(block + "mlp.fc1", width, 4 * width)
            linear(block + "mlp.fc2", 4 * width, width)
        w[block + "ls2.gamma"] = normal(width, std=0.2, mean=0.6)
    norm("norm")
    return w


def dinov2(w, picture):
    """`picture` 1 x 3 x H x W, normalised. Returns the patch tokens after the final norm as C x h x w, and every
    block's attention of the CLS token over the patch tokens as depth x heads x h x w."""
    width = w["cls_token"].shape[-1]
    heads = width // 64
    patch = w["patch_embed.proj.weight"].shape[-1]
    x = F.conv2d(picture, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=patch)
    rows, columns = x.shape[-2:]
    x = torch.cat([w["cls_token"], x.flatten(2).transpose(1, 2)], 1) + _position_embedding(w, rows, columns)
    extra = 1
    if "register_tokens" in w:
        x = torch.cat([x[:, :1], w["register_tokens"], x[:, 1:]], 1)
        extra += w["register_tokens"].shape[1]

    attention = []
    for i in range(sum(key.endswith(".norm1.weight") for key in w)):
        b = f"blocks.{i}."
        y = F.layer_norm(x, (width,), w[b + "norm1.weight"], w[b + "norm1.bias"], 1e-6)
        q, k, v = F.linear(y, w[b + "attn.qkv.weight"], w[b + "attn.qkv.bias"]).chunk(3, -1)
        q, k, v = (t.unflatten(-1, (heads, 64)).transpose(1, 2) for t in (q, k, v))
        share = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(64), -1)
        attention.append(share[0, :, 0, extra:].unflatten(-1, (rows, columns)))
        y = (share @ v).transpose(1, 2).flatten(2)
        x = x + w[b + "ls1.gamma"] * F.linear(y, w[b + "attn.proj.weight"], w[b + "attn.proj.bias"])
        y = F.layer_norm(x, (width,), w[b + "norm2.weight"], w[b + "norm2.bias"], 1e-6)
        if b + "mlp.w12.weight" in w:
            gate, value = F.linear(y, w[b + "mlp.w12.weight"], w[b + "mlp.w12.bias"]).chunk(2, -1)
            y = F.linear(F.silu(gate) * value, w[b + "mlp.w3.weight"], w[b + "mlp.w3.bias"])
        else:
            y = F.gelu(F.linear(y, w[b + "mlp.fc1.weight"], w[b + "mlp.fc1.bias"]))
            y = F.linear(y, w[b + "mlp.fc2.weight"], w[b + "mlp.fc2.bias"])
        x = x + w[b + "ls2.gamma"] * y
    x = F.layer_norm(x, (width,), w["norm.weight"], w["norm.bias"], 1e-6)
    return x[0, extra:].T.unflatten(1, (rows, columns)), torch.stack(attention)


def _position_embedding(w, rows, columns):
    table = w["pos_embed"]
    side = math.isqrt(table.shape[1] - 1)
    if rows == columns == side:
        return table
    grid = table[:, 1:].transpose(1, 2).unflatten(-1, (side, side))
    if "register_tokens" in w:
        grid = F.interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True)
    else:  # the releases without registers add 0.1 to the size before they derive the scale, and keep that scale
        grid = F.interpolate(grid, scale_factor=((rows + 0.1) / side, (columns + 0.1) / side), mode="bicubic")
    return torch.cat([table[:, :1], grid.flatten(2).transpose(1, 2)], 1)


# --- LoftUp (Huang et al. 2025), key names of the published checkpoints -----------------------------------------------


def random_loftup(channels, seed=0):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape, std=1.0, mean=0.0):
        return torch.randn(*shape, generator=g) * std + mean

    inner = channels + 20
    w = {}

    def norm(name, size):
        w[name + ".weight"] = normal(size, std=0.2, mean=1)
        w[name + ".bias"] = normal(size, std=0.1)

    def layer(name, outputs, inputs, *kernel):
        w[name + ".weight"] = normal(outputs, inputs, *kernel, std=1 / math.sqrt(inputs * math.prod(kernel)))
        w[name + ".bias"] = normal(outputs, std=0.1)

    def batch_norm(name):
        norm(name, inner)
        w[name + ".running_mean"] = normal(inner, std=0.2)
        w[name + ".running_var"] = normal(inner, std=0.2).abs() + 0.5
        w[name + ".num_batches_tracked"] = torch.tensor(1234)

    norm("channelnorm.norm", channels)
    w["upsampler.lr_pe.biases"] = normal(2, 2, 5)
    w["upsampler.fourier_feat.1.biases"] = normal(2, 5, 20)
    norm("upsampler.first_conv.0.norm", 203)
    layer("upsampler.first_conv.1", inner, 203, 3, 3)
    batch_norm("upsampler.first_conv.2")
    layer("upsampler.first_conv.4", inner, inner, 3, 3)
    batch_norm("upsampler.first_conv.5")
    for i in range(2):
        block = f"upsampler.ca_transformer.layers.{i}."
        norm(block + "0.norm_q", inner)
        norm(block + "0.norm_kv", inner)
        w[block + "0.attention.in_proj_weight"] = normal(3 * inner, inner, std=1.5 / math.sqrt(inner))
        w[block + "0.attention.in_proj_bias"] = normal(3 * inner, std=0.1)
        layer(block + "0.attention.out_proj", inner, inner)
        norm(block + "1.net.0", inner)
        layer(block + "1.net.1", channels, inner)
        layer(block + "1.net.4", inner, channels)
    norm("upsampler.ca_transformer.norm", inner)
    layer("upsampler.final_conv.0", channels, inner, 1, 1)
    norm("upsampler.final_conv.1", channels)
    return w


def _channel_norm(x, weight, bias, eps):
    return F.layer_norm(x.movedim(1, -1), (x.shape[1],), weight, bias, eps).movedim(-1, 1)


def _fourier(values, biases, count):
    """`values` (d, ...) -> sines, then cosines, of exp(linspace(-2, 10, count)) times each, frequency by frequency."""
    frequencies = torch.exp(torch.linspace(-2, 10, count)).reshape(-1, *[1] * values.dim())
    angles = frequencies * values
    sine_bias, cosine_bias = (b.reshape(count, len(values), *[1] * (values.dim() - 1)) for b in biases)
    return torch.cat([torch.sin(angles + sine_bias).flatten(0, 1), torch.cos(angles + cosine_bias).flatten(0, 1)])


def _coordinates(rows, columns):
    return torch.stack(torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij"))


def loftup(w, features, guidance, pixel=None):
    """`features` 1 x C x h x w, `guidance` 1 x 3 x H x W. Returns C x H x W, and for `pixel` (x, y) its
    cross-attention as blocks x heads x h x w."""
    u = "upsampler."
    channels, rows, columns = features.shape[1:]
    height, width = guidance.shape[2:]
    inner, heads = channels + 20, 4

    # coordinate encoder: Fourier features of row, column and colour at every pixel
    low = guidance.amin((0, 2, 3), keepdim=True)
    high = guidance.amax((0, 2, 3), keepdim=True)
    colour = (guidance - low) / torch.clamp(high - low, min=1e-4) - 0.5
    position = torch.cat([_coordinates(height, width), colour[0]])
    code = torch.cat([_fourier(position, w[u + "fourier_feat.1.biases"], 20), colour[0]])[None]

    # pixel queries: two 3 x 3 convolutions
    def batch_norm(x, name):
        return F.batch_norm(x, *(w[name + k] for k in (".running_mean", ".running_var", ".weight", ".bias")))

    c = u + "first_conv."
    x = _channel_norm(code, w[c + "0.norm.weight"], w[c + "0.norm.bias"], 1e-5)
    x = F.relu(batch_norm(F.conv2d(x, w[c + "1.weight"], w[c + "1.bias"], padding=1), c + "2"))
    x = F.relu(batch_norm(F.conv2d(x, w[c + "4.weight"], w[c + "4.bias"], padding=1), c + "5"))
    q = x[0].flatten(1).T

    # keys and values: normalised low-resolution features with their own position code
    f = _channel_norm(features, w["channelnorm.norm.weight"], w["channelnorm.norm.bias"], 1e-5)[0]
    kv = torch.cat([f, _fourier(_coordinates(rows, columns), w[u + "lr_pe.biases"], 5)]).flatten(1).T

    attention = []
    for i in range(2):
        a = u + f"ca_transformer.layers.{i}.0."
        y = F.layer_norm(q, (inner,), w[a + "norm_q.weight"], w[a + "norm_q.bias"])
        t = F.layer_norm(kv, (inner,), w[a + "norm_kv.weight"], w[a + "norm_kv.bias"])
        projections = zip(w[a + "attention.in_proj_weight"].chunk(3), w[a + "attention.in_proj_bias"].chunk(3))
        query, key, value = (
            F.linear(s, *p).unflatten(-1, (heads, inner // heads)).transpose(0, 1)
            for s, p in zip((y, t, t), projections)
        )
        share = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(inner // heads), -1)
        if pixel is not None:
            attention.append(share[:, pixel[1] * width + pixel[0]].unflatten(-1, (rows, columns)))
        y = (share @ value).transpose(0, 1).flatten(1)
        q = q + F.linear(y, w[a + "attention.out_proj.weight"], w[a + "attention.out_proj.bias"])
        n = u + f"ca_transformer.layers.{i}.1.net."
        y = F.layer_norm(q, (inner,), w[n + "0.weight"], w[n + "0.bias"])
        y = F.gelu(F.linear(y, w[n + "1.weight"], w[n + "1.bias"]))
        q = q + F.linear(y, w[n + "4.weight"], w[n + "4.bias"])
    q = F.layer_norm(q, (inner,), w[u + "ca_transformer.norm.weight"], w[u + "ca_transformer.norm.bias"])

    x = q.T.unflatten(1, (height, width))[None]
    x = F.conv2d(x, w[u + "final_conv.0.weight"], w[u + "final_conv.0.bias"])
    x = _channel_norm(x, w[u + "final_conv.1.weight"], w[u + "final_conv.1.bias"], 1e-6)
    return x[0], torch.stack(attention) if attention else None
