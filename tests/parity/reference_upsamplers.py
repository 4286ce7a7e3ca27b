# SPDX-License-Identifier: Apache-2.0
"""AnyUp, JAFAR, NAF, UPLiFT and FeatUp's joint bilateral stack in plain torch, untiled, written down from the published equations.

Independent of the C++ code on purpose, as reference_models.py is: dictionaries from checkpoint key to tensor, fp32,
inference mode. `random_*` make small weights away from their initial values, so that no parameter can be forgotten
unnoticed.
"""
import math

import torch
import torch.nn.functional as F


def _normal(seed):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape, std=1.0, mean=0.0):
        return torch.randn(shape, generator=g) * std + mean

    return normal


# --- AnyUp (Wimmer et al. 2025) ---------------------------------------------------------------------------------------

GROUPS, HEADS, WINDOW = 8, 4, 0.1


def random_anyup(width, seed=0):
    normal = _normal(seed)
    w = {}

    def convolution(name, outputs, inputs, kernel=1, gain=1.0):
        w[name + ".weight"] = normal(outputs, inputs, kernel, kernel, std=gain / math.sqrt(inputs * kernel * kernel))

    def blocks(name):
        for i in (1, 2):
            for norm, conv in ((0, 2), (3, 5)):
                w[f"{name}.{i}.block.{norm}.weight"] = normal(width, std=0.25, mean=1)
                w[f"{name}.{i}.block.{norm}.bias"] = normal(width, std=0.15)
                convolution(f"{name}.{i}.block.{conv}", width, width)

    for name, inputs, kernel in (
        ("image_encoder", 3, 1),
        ("query_encoder", width, 1),
        ("key_encoder", width, 1),
        ("aggregation", 2 * width, 3),
    ):
        convolution(name + ".0", width, inputs, kernel)
        blocks(name)
    w["key_features_encoder.0.basis"] = normal(width, 1, 5, 5, std=3.0)
    blocks("key_features_encoder")
    convolution("cross_decode.conv2d", width, width, 3)
    for name in ("norm_q", "norm_k"):
        w[f"cross_decode.cross_attn.{name}.weight"] = normal(width, std=0.25, mean=1)
    a = "cross_decode.cross_attn.attention."
    w[a + "in_proj_weight"] = normal(3 * width, width, std=1.5 / math.sqrt(width))
    w[a + "in_proj_bias"] = normal(3 * width, std=0.3)
    w[a + "out_proj.weight"] = normal(width, width)
    w[a + "out_proj.bias"] = normal(width)
    w["rope.freqs"] = normal(2, width, std=3.0)
    return w


def anyup(w, features, guidance, size=None, pixel=None):
    """`features` 1 x C x h x w, `guidance` 1 x 3 x H x W, `size` of the output (the guidance's if left out). Returns
    C x H x W, and for `pixel` (x, y) its attention as heads x h x w."""
    size = size or guidance.shape[2:]
    rows, columns = features.shape[2:]

    def residual_blocks(x, name):
        for i in (1, 2):
            y = x
            for norm, conv in ((0, 2), (3, 5)):
                p = f"{name}.{i}.block."
                y = F.group_norm(y, GROUPS, w[f"{p}{norm}.weight"], w[f"{p}{norm}.bias"])
                y = F.conv2d(F.silu(y), w[f"{p}{conv}.weight"])
            x = x + y
        return x

    # pixels: colour, then place as a rotation of channel pairs by angles that grow with row and column
    x = _placed(residual_blocks(F.conv2d(guidance, w["image_encoder.0.weight"]), "image_encoder"), w["rope.freqs"])

    queries = residual_blocks(F.conv2d(x, w["query_encoder.0.weight"]), "query_encoder")
    queries = F.conv2d(F.adaptive_avg_pool2d(queries, size), w["cross_decode.conv2d.weight"], padding=1)

    # tokens: the picture's pixels averaged per cell, beside what the features look like whatever their number
    keys = residual_blocks(F.conv2d(x, w["key_encoder.0.weight"]), "key_encoder")
    keys = F.adaptive_avg_pool2d(keys, (rows, columns))
    channels = F.normalize(features, dim=1).transpose(0, 1)  # C x 1 x h x w
    inside = F.conv2d(torch.ones(1, 1, rows, columns), torch.ones(1, 1, 5, 5), padding=2)
    response = F.conv2d(channels, w["key_features_encoder.0.basis"], padding=2) / inside  # C x width x h x w
    # The published model was trained with the flat order (channel, filter) read as (filter, channel).
    response = response.reshape(-1, len(channels), rows, columns)
    shapes = residual_blocks(response.softmax(0).mean(1)[None], "key_features_encoder")
    keys = F.pad(torch.cat([keys, shapes], 1), (1, 1, 1, 1), mode="reflect")
    keys = residual_blocks(F.conv2d(keys, w["aggregation.0.weight"]), "aggregation")

    # attention within a window around the pixel; all heads' mean weighs the features as they are
    def rms(t, name):
        return _rms(t, w[f"cross_decode.cross_attn.{name}.weight"])

    a = "cross_decode.cross_attn.attention.in_proj_"
    weight, bias = w[a + "weight"].chunk(3), w[a + "bias"].chunk(3)
    q = F.linear(rms(queries[0].flatten(1).T, "norm_q"), weight[0], bias[0]).unflatten(1, (HEADS, -1)).transpose(0, 1)
    k = F.linear(rms(keys[0].flatten(1).T, "norm_k"), weight[1], bias[1]).unflatten(1, (HEADS, -1)).transpose(0, 1)
    logits = q @ k.transpose(1, 2) / math.sqrt(q.shape[2])
    visible = (_window(size[0], rows)[:, None, :, None] & _window(size[1], columns)[None, :, None, :]).flatten(2)
    share = logits.masked_fill(~visible.flatten(0, 1), -math.inf).softmax(-1)  # heads x pixels x tokens
    output = (share.mean(0) @ features[0].flatten(1).T).T.unflatten(1, tuple(size))
    if pixel is None:
        return output, None
    return output, share[:, pixel[1] * size[1] + pixel[0]].unflatten(1, (rows, columns))


def _placed(x, freqs):
    """1 x C x H x W with channel pairs rotated by angles that grow with row and column, 0 to 1 along each side."""
    half = x.shape[1] // 2
    row = torch.linspace(0, 1, x.shape[2])[:, None, None]
    column = torch.linspace(0, 1, x.shape[3])[None, :, None]
    angle = (row * freqs[0] + column * freqs[1]).permute(2, 0, 1)
    return x * torch.cos(angle) + torch.cat([-x[:, half:], x[:, :half]], 1) * torch.sin(angle)


def _rms(t, weight):
    return t * torch.rsqrt(t.square().mean(-1, keepdim=True) + torch.finfo(torch.float32).eps) * weight


def _window(pixels, tokens):
    """pixels x tokens: does a pixel see a token along one side?"""
    centre = (torch.arange(pixels, dtype=torch.float32) + 0.5) / pixels
    first = torch.floor((centre - WINDOW).clamp(0, 1) * tokens)[:, None]
    last = torch.ceil((centre + WINDOW).clamp(0, 1) * tokens)[:, None]
    token = torch.arange(tokens)
    return (token >= first) & (token < last)


# --- JAFAR (Couairon et al. 2025) --------------------------------------------------------------------------------------


def random_jafar(width, channels, seed=0):
    normal = _normal(seed)
    w = {}

    def convolution(name, outputs, inputs, kernel=1):
        w[name + ".weight"] = normal(outputs, inputs, kernel, kernel, std=1 / math.sqrt(inputs * kernel * kernel))

    for name, inputs in (
        ("image_encoder", 3),
        ("query_encoder", width),
        ("key_encoder", width),
        ("key_features_encoder", channels),
    ):
        convolution(name + ".0", width, inputs)
        for i in (1, 2):
            for j in (1, 2):
                w[f"{name}.{i}.norm{j}.weight"] = normal(width, std=0.25, mean=1)
                w[f"{name}.{i}.norm{j}.bias"] = normal(width, std=0.15)
                convolution(f"{name}.{i}.conv{j}", width, width)
    convolution("sft_key.gamma", width, width)
    convolution("sft_key.beta", width, width)
    convolution("cross_decode.conv2d", width, width, 3)
    for name, count in (("norm_q", width), ("norm_k", width), ("norm_v", channels)):
        w[f"cross_decode.cross_attn.{name}.weight"] = normal(count, std=0.25, mean=1)
    a = "cross_decode.cross_attn.attention."
    w[a + "q_proj_weight"] = normal(width, width, std=1.5 / math.sqrt(width))
    w[a + "k_proj_weight"] = normal(width, width, std=1.5 / math.sqrt(width))
    w[a + "v_proj_weight"] = normal(width, channels)
    w[a + "in_proj_bias"] = normal(3 * width, std=0.3)
    w[a + "out_proj.weight"] = normal(width, width)
    w[a + "out_proj.bias"] = normal(width)
    w["rope.freqs"] = normal(2, width, std=3.0)
    return w


def jafar(w, features, guidance, size=None, pixel=None):
    """As anyup, but every pixel attends to every token, and what the features look like scales and shifts the
    picture's part of the keys."""
    size = size or guidance.shape[2:]
    rows, columns = features.shape[2:]

    def encoder(x, name):
        x = F.conv2d(x, w[name + ".0.weight"])
        for i in (1, 2):
            y = x
            for j in (1, 2):
                y = F.group_norm(y, GROUPS, w[f"{name}.{i}.norm{j}.weight"], w[f"{name}.{i}.norm{j}.bias"])
                y = F.conv2d(F.silu(y), w[f"{name}.{i}.conv{j}.weight"])
            x = x + y
        return x

    x = _placed(encoder(guidance, "image_encoder"), w["rope.freqs"])
    queries = F.group_norm(F.adaptive_avg_pool2d(encoder(x, "query_encoder"), size), GROUPS)
    queries = F.conv2d(queries, w["cross_decode.conv2d.weight"], padding=1)
    keys = F.group_norm(F.adaptive_avg_pool2d(encoder(x, "key_encoder"), (rows, columns)), GROUPS)
    shapes = encoder(F.normalize(features, dim=1), "key_features_encoder")
    keys = F.conv2d(shapes, w["sft_key.gamma.weight"]) * keys + F.conv2d(shapes, w["sft_key.beta.weight"])

    c = "cross_decode.cross_attn."
    bias = w[c + "attention.in_proj_bias"].chunk(3)
    q = F.linear(_rms(queries[0].flatten(1).T, w[c + "norm_q.weight"]), w[c + "attention.q_proj_weight"], bias[0])
    k = F.linear(_rms(keys[0].flatten(1).T, w[c + "norm_k.weight"]), w[c + "attention.k_proj_weight"], bias[1])
    q, k = (t.unflatten(1, (HEADS, -1)).transpose(0, 1) for t in (q, k))
    share = (q @ k.transpose(1, 2) / math.sqrt(q.shape[2])).softmax(-1)  # heads x pixels x tokens
    output = (share.mean(0) @ features[0].flatten(1).T).T.unflatten(1, tuple(size))
    if pixel is None:
        return output, None
    return output, share[:, pixel[1] * size[1] + pixel[0]].unflatten(1, (rows, columns))


# --- NAF (Chambon et al. 2025) -----------------------------------------------------------------------------------------

SIDE = 9


def random_naf(width, seed=0):
    normal = _normal(seed)
    w = {}
    half = width // 2
    for name, kernel in (("encoder", 1), ("sem_encoder", 3)):

        def convolution(key, inputs):
            w[key + ".weight"] = normal(half, inputs, kernel, kernel, std=1.6 / math.sqrt(inputs * kernel * kernel))
            w[key + ".bias"] = normal(half, std=0.2)

        convolution(f"image_encoder.{name}.0", 3)
        for i in (1, 2):
            for j in (1, 2):
                w[f"image_encoder.{name}.{i}.norm{j}.weight"] = normal(half, std=0.25, mean=1)
                w[f"image_encoder.{name}.{i}.norm{j}.bias"] = normal(half, std=0.15)
                convolution(f"image_encoder.{name}.{i}.conv{j}", half)
    quarter = width // HEADS // 4
    w["image_encoder.rope.periods"] = 100 ** (torch.arange(quarter) / (2 * quarter)) + normal(quarter, std=0.05).abs()
    return w


def naf(w, features, guidance, size=None, pixel=None):
    """As anyup. Every pixel's window is listed token by token, as neighbourhood attention defines it: places that are
    `step` apart stand in a row of their own, of which a pixel sees the nearest nine."""
    size = tuple(size or guidance.shape[2:])
    grid = tuple(features.shape[2:])

    def encoder(x, name, margin):
        def convolved(x, key):
            if margin:
                x = F.pad(x, (margin,) * 4, mode="reflect")
            key = f"image_encoder.{name}.{key}"
            return F.conv2d(x, w[key + ".weight"], w[key + ".bias"])

        x = convolved(x, "0")
        for i in (1, 2):
            for j in (1, 2):
                norm = f"image_encoder.{name}.{i}.norm{j}"
                x = F.silu(F.group_norm(x, GROUPS, w[norm + ".weight"], w[norm + ".bias"]))
                x = convolved(x, f"{i}.conv{j}")
        return x

    if guidance.shape[2] > 4 * size[0] or guidance.shape[3] > 4 * size[1]:
        sides = [min(s, 4 * size[0], 4 * size[1]) for s in guidance.shape[2:]]
        guidance = F.interpolate(guidance, sides, mode="bilinear")
    x = torch.cat([encoder(guidance, "encoder", 0), encoder(guidance, "sem_encoder", 1)], 1)
    x = F.adaptive_avg_pool2d(x, size)[0].unflatten(0, (HEADS, -1))  # heads x d x H x W

    periods = w["image_encoder.rope.periods"]
    turns = [((torch.arange(s) + 0.5) / s * 2 - 1)[None] / periods[:, None] for s in size]
    angle = 2 * math.pi * torch.cat(
        [turns[0][:, :, None].expand(-1, *size), turns[1][:, None, :].expand(-1, *size)]
    )  # d / 2 x H x W
    turned = torch.complex(*x.chunk(2, dim=1)) * torch.polar(torch.ones_like(angle), angle)
    queries = torch.cat([turned.real, turned.imag], 1)
    keys = F.adaptive_avg_pool2d(queries.flatten(0, 1)[None], grid)[0].unflatten(0, (HEADS, -1))
    values = features[0].unflatten(0, (HEADS, -1))

    def tokens_seen(pixels, tokens):
        step = pixels // tokens
        nearest = F.interpolate(torch.arange(tokens).float()[None, None], pixels, mode="nearest-exact")[0, 0].long()
        seen = []
        for i in range(pixels):
            row = range(i % step, pixels, step)
            first = min(max(i // step - SIDE // 2, 0), len(row) - SIDE)
            seen.append([nearest[place] for place in row[first : first + SIDE]])
        return torch.tensor(seen)

    rows, columns = tokens_seen(size[0], grid[0]), tokens_seen(size[1], grid[1])
    output = torch.empty(HEADS, values.shape[1], *size)
    attention = torch.zeros(HEADS, *grid)
    for y in range(size[0]):
        for x in range(size[1]):
            place = (slice(None), slice(None), rows[y][:, None], columns[x][None, :])
            logits = (queries[:, :, y, x, None, None] * keys[place]).sum(1) / math.sqrt(queries.shape[1])
            share = logits.flatten(1).softmax(1).view_as(logits)
            output[:, :, y, x] = (share[:, None] * values[place]).sum((2, 3))
            if (x, y) == pixel:
                for i, row in enumerate(rows[y]):
                    for j, column in enumerate(columns[x]):
                        attention[:, row, column] += share[:, i, j]
    return output.flatten(0, 1), attention


# --- UPLiFT (Walmer et al. 2026) --------------------------------------------------------------------------------------

OFFSETS = [(-2, -2), (-2, 0), (-2, 2), (-1, -1), (-1, 0), (-1, 1), (0, -2), (0, -1), (0, 0), (0, 1), (0, 2), (1, -1),
           (1, 0), (1, 1), (2, -2), (2, 0), (2, 2)]  # fmt: skip


def random_uplift(channels, encoder, width, seed=0):
    normal = _normal(seed)
    w = {}

    def block(name, inputs, outputs, count):
        for i in range(count):
            p = f"{name}.blocks.0.conv."
            w[f"{p}{3 * i}.weight"] = normal(outputs, inputs, 3, 3, std=1 / math.sqrt(9 * inputs))
            w[f"{p}{3 * i + 1}.weight"] = normal(outputs, std=0.25, mean=1)
            w[f"{p}{3 * i + 1}.bias"] = normal(outputs, std=0.2)
            w[f"{p}{3 * i + 1}.running_mean"] = normal(outputs, std=0.3)
            w[f"{p}{3 * i + 1}.running_var"] = normal(outputs, std=0.3).abs() + 0.5
            inputs = outputs
        w[f"{p}{3 * count}.weight"] = normal(outputs, outputs, 1, 1, std=1 / math.sqrt(outputs))
        w[f"{p}{3 * count}.bias"] = normal(outputs, std=0.2)

    inputs = 3
    for i, outputs in enumerate(encoder):
        block(f"encoder.block_{i}", inputs, outputs, 1)
        inputs = outputs
    block("decoder.block_0", channels + encoder[-1], width, 2)
    w["decoder.up_1.up.weight"] = normal(width, width, 2, 2, std=1 / math.sqrt(width))
    w["decoder.up_1.up.bias"] = normal(width, std=0.2)
    block("decoder.block_1", width + encoder[-2], width, 2)
    w["attender.conv1.weight"] = normal(len(OFFSETS), width, 1, 1, std=1 / math.sqrt(width))
    w["attender.conv1.bias"] = normal(len(OFFSETS), std=0.5)
    return w


def uplift(w, features, guidance, pixel=None):
    """`features` 1 x C x h x w, `guidance` 1 x 3 x H x W. Returns C x 16 h x 16 w, and for `pixel` (x, y) the shares of
    the tokens, h x w."""
    blocks = sum(key.endswith(".conv.3.weight") and key.startswith("encoder.") for key in w)

    def added(x, y):
        """Channels that only one of them has are the second one's, or are dropped."""
        shared = min(x.shape[1], y.shape[1])
        return torch.cat([x[:, :shared] + y[:, :shared], y[:, shared:]], 1)

    def block(x, name, count):
        y = x
        for i in range(count):
            p = f"{name}.blocks.0.conv."
            n = f"{p}{3 * i + 1}."
            y = F.conv2d(y, w[f"{p}{3 * i}.weight"], padding=1)
            y = F.batch_norm(y, w[n + "running_mean"], w[n + "running_var"], w[n + "weight"], w[n + "bias"])
            y = F.relu(y)
        return added(x, F.conv2d(y, w[f"{p}{3 * count}.weight"], w[f"{p}{3 * count}.bias"]))

    size = [16 * s for s in features.shape[2:]]
    if list(guidance.shape[2:]) != size:
        guidance = F.interpolate(guidance, size, mode="bilinear", antialias=True)
    seen = [guidance]
    for i in range(blocks):
        seen.append(block(seen[-1], f"encoder.block_{i}", 1))

    x = features
    tokens = x.shape[2] * x.shape[3]
    shares = torch.eye(tokens).view(1, tokens, *x.shape[2:])
    for _ in range(4):
        height, width = x.shape[2:]
        y = block(torch.cat([x, F.interpolate(seen[-1], (height, width), mode="nearest")], 1), "decoder.block_0", 2)
        larger = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
        y = larger + F.conv_transpose2d(y, w["decoder.up_1.up.weight"], w["decoder.up_1.up.bias"], stride=2)
        picture = F.interpolate(seen[-2], (2 * height, 2 * width), mode="nearest")
        y = block(torch.cat([y, picture], 1), "decoder.block_1", 2)
        logits = F.conv2d(y, w["attender.conv1.weight"], w["attender.conv1.bias"])
        share = added(y, logits)[0].softmax(0)

        def averaged(values):
            padded = F.pad(values, (2, 2, 2, 2), mode="replicate")
            total = 0
            for part, (down, right) in zip(share, OFFSETS):
                moved = padded[:, :, 2 + down : 2 + down + height, 2 + right : 2 + right + width]
                total = total + part * moved.repeat_interleave(2, 2).repeat_interleave(2, 3)
            return total

        x, shares = averaged(x), averaged(shares)
    if pixel is None:
        return x[0], None
    return x[0], shares[0, :, pixel[1], pixel[0]].view(features.shape[2:])


# --- FeatUp's joint bilateral stack (Fu et al. 2024) ------------------------------------------------------------------

RADIUS, STAGES = 3, 4


def random_featup(channels, seed=0):
    normal = _normal(seed)
    taps = (2 * RADIUS + 1) ** 2
    w = {}

    def convolution(name, outputs, inputs):
        w[name + ".weight"] = normal(outputs, inputs, 1, 1, std=1 / math.sqrt(inputs))
        w[name + ".bias"] = normal(outputs, std=0.1)

    for i in range(1, STAGES + 1):
        w[f"up{i}.range_temp"] = normal(std=0.3)
        w[f"up{i}.sigma_spatial"] = normal(std=0.2, mean=0.9)
        convolution(f"up{i}.range_proj.0", 32, 3)
        convolution(f"up{i}.range_proj.3", 32, 32)
        convolution(f"up{i}.fixup_proj.0", taps, taps + 3)
        convolution(f"up{i}.fixup_proj.3", taps, taps)
    convolution("fixup_proj.1", channels, channels)
    return w


def featup(w, features, guidance, channel_mix=True):
    """`features` 1 x C x h x w, `guidance` 1 x 3 x H x W of any size. Returns C x 16 h x 16 w."""

    def two_layers(x, name):
        x = F.gelu(F.conv2d(x, w[name + ".0.weight"], w[name + ".0.bias"]))
        return F.conv2d(x, w[name + ".3.weight"], w[name + ".3.bias"])

    def windows(x):
        """1 x C x H x W -> C x taps x H x W, mirrored at the border."""
        height, width = x.shape[2:]
        padded = F.pad(x, (RADIUS,) * 4, mode="reflect")
        return F.unfold(padded, 2 * RADIUS + 1).view(x.shape[1], -1, height, width)

    x = features
    place = torch.linspace(-1, 1, 2 * RADIUS + 1)
    for i in range(1, STAGES + 1):
        size = (2 * x.shape[2], 2 * x.shape[3])
        small = F.adaptive_avg_pool2d(guidance, size)
        code = two_layers(small, f"up{i}.range_proj")
        temperature = w[f"up{i}.range_temp"].exp().clamp(1e-4, 1e4)
        likeness = (temperature * (windows(code) * code[0, :, None]).sum(0)).softmax(0)
        distance = place[:, None] ** 2 + place[None, :] ** 2
        nearness = torch.exp(-distance / (2 * w[f"up{i}.sigma_spatial"] ** 2)).flatten()[:, None, None]
        kernel = likeness * nearness
        kernel = kernel / kernel.sum(0, keepdim=True).clamp(1e-7)
        kernel = kernel + 0.1 * two_layers(torch.cat([kernel[None], small], 1), f"up{i}.fixup_proj")[0]
        large = F.interpolate(x, size, mode="bicubic")
        x = (windows(large) * kernel).sum(1)[None]
    if not channel_mix:
        return x[0]
    return (x + 0.1 * F.conv2d(x, w["fixup_proj.1.weight"], w["fixup_proj.1.bias"]))[0]
