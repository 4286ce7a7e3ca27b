# SPDX-License-Identifier: Apache-2.0
"""Tokenizers and text towers of CLIP and SigLIP in plain Python and torch, written down from the published descriptions.

Independent of the C++ code on purpose, as reference_models.py is: dictionaries from checkpoint key to tensor, fp32,
inference mode.
"""
import math
import unicodedata

import torch
import torch.nn.functional as F

# --- CLIP's byte pairs ------------------------------------------------------------------------------------------------


def byte_letters():
    """Bytes in the vocabulary's order, and the letter that stands for each."""
    shown = [b for b in range(256) if chr(b).isprintable() and not chr(b).isspace() and b != 0xAD and not 127 <= b < 161]
    hidden = [b for b in range(256) if b not in shown]
    return shown + hidden, {**{b: chr(b) for b in shown}, **{b: chr(256 + i) for i, b in enumerate(hidden)}}


def clip_words(text):
    """Runs of letters, single digits, runs of other signs; English endings are words of their own."""

    def kind(letter):
        category = unicodedata.category(letter)[0]
        return {"L": "L", "N": "N"}.get(category, " " if letter.isspace() else "S")

    text, words, i = text.lower(), [], 0
    while i < len(text):
        ending = next((e for e in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d") if text.startswith(e, i)), None)
        if ending:
            words.append(ending)
            i += len(ending)
            continue
        k, j = kind(text[i]), i + 1
        while j < len(text) and kind(text[j]) == k and k in "LS":
            j += 1
        if k != " ":
            words.append(text[i:j])
        i = j
    return words


def clip_tokens(text, merges):
    order, letter = byte_letters()
    symbols = [letter[b] for b in order]
    symbols += [s + "</w>" for s in symbols] + ["".join(m) for m in merges]
    number = {s: i for i, s in enumerate(symbols)}
    tokens = [len(symbols)]
    for word in clip_words(text):
        parts = [letter[b] for b in word.encode()]
        parts[-1] += "</w>"
        for merge in merges:  # every merge in the order of training, wherever it fits
            i = 0
            while i + 1 < len(parts):
                if (parts[i], parts[i + 1]) == merge:
                    parts[i : i + 2] = ["".join(merge)]
                i += 1
        tokens += [number[p] for p in parts]
    return tokens + [len(symbols) + 1]


def learned_merges(corpus, count):
    """Byte pairs of a corpus, the most frequent first."""
    _, letter = byte_letters()
    words = [[letter[b] for b in word.encode()] for word in clip_words(corpus)]
    for word in words:
        word[-1] += "</w>"
    merges = []
    while len(merges) < count:
        pairs = {}
        for word in words:
            for pair in zip(word, word[1:]):
                pairs[pair] = pairs.get(pair, 0) + 1
        best = max(sorted(pairs), key=lambda pair: pairs[pair])
        merges.append(best)
        for word in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = ["".join(best)]
                i += 1
    return merges


# --- SentencePiece, unigram -------------------------------------------------------------------------------------------


def siglip_canonical(text):
    text = text.lower().replace("_", " ")
    text = "".join(c for c in text if not (c.isascii() and c.isprintable() and not c.isalnum() and c != " "))
    return " ".join(text.split())


def siglip_tokens(text, pieces, unknown, end):
    """The likeliest way to cut the text into pieces. `pieces`: name -> (number, logarithm of its probability)."""
    text = "\u2581" + siglip_canonical(text).replace(" ", "\u2581")
    least = min(score for _, score in pieces.values()) - 10
    best = [(0.0, [])] + [None] * len(text)
    for i in range(len(text)):
        if best[i] is None:
            continue
        for j in range(i + 1, len(text) + 1):
            number, score = pieces.get(text[i:j], (unknown, least) if j == i + 1 else (None, None))
            if number is None:
                continue
            if best[j] is None or best[i][0] + score > best[j][0]:
                best[j] = (best[i][0] + score, best[i][1] + [number])
    tokens = best[-1][1]
    merged = [t for i, t in enumerate(tokens) if not (t == unknown and i > 0 and tokens[i - 1] == unknown)]
    return merged + [end]


# --- towers -----------------------------------------------------------------------------------------------------------


def _normal(seed):
    g = torch.Generator().manual_seed(seed)
    return lambda *shape, std=1.0, mean=0.0: torch.randn(shape, generator=g) * std + mean


def random_tower(words, context, width, hidden, depth, channels, prefix="", siglip=False, seed=0):
    """In OpenAI's layout, or open_clip's of SigLIP, with its pooling of image tokens."""
    normal = _normal(seed)
    w = {
        prefix + "token_embedding.weight": normal(words, width, std=0.5),
        prefix + "positional_embedding": normal(context, width, std=0.5),
    }

    def norm(name, n):
        w[name + ".weight"], w[name + ".bias"] = normal(n, std=0.2, mean=1), normal(n, std=0.2)

    def linear(name, out, inputs, gain=1.0):
        w[name + ".weight"] = normal(out, inputs, std=gain / math.sqrt(inputs))
        w[name + ".bias"] = normal(out, std=0.2)

    for i in range(depth):
        p = f"{prefix}transformer.resblocks.{i}."
        norm(p + "ln_1", width)
        norm(p + "ln_2", width)
        w[p + "attn.in_proj_weight"] = normal(3 * width, width, std=1.5 / math.sqrt(width))
        w[p + "attn.in_proj_bias"] = normal(3 * width, std=0.2)
        linear(p + "attn.out_proj", width, width)
        linear(p + "mlp.c_fc", hidden, width)
        linear(p + "mlp.c_proj", width, hidden)
    norm(prefix + "ln_final", width)
    if not siglip:
        w[prefix + "text_projection"] = normal(width, channels, std=1 / math.sqrt(width))
        return w
    linear(prefix + "text_projection", channels, width)
    pool = "visual.trunk.attn_pool."
    w[pool + "latent"] = normal(1, 1, channels)
    linear(pool + "q", channels, channels)
    linear(pool + "kv", 2 * channels, channels)
    linear(pool + "proj", channels, channels)
    norm(pool + "norm", channels)
    linear(pool + "mlp.fc1", hidden, channels)
    linear(pool + "mlp.fc2", channels, hidden)
    return w


def tower(w, tokens, heads, prefix="", siglip=False, activation=None):
    """Direction of a text, of length 1. Blocks are torch's own attention with all heads spelt out."""
    act = activation or (F.gelu if siglip else lambda x: x * torch.sigmoid(1.702 * x))
    eps = 1e-6 if siglip else 1e-5
    context, width = w[prefix + "positional_embedding"].shape
    padded = tokens + [tokens[-1] if siglip else 0] * (context - len(tokens))
    x = w[prefix + "token_embedding.weight"][padded] + w[prefix + "positional_embedding"]
    mask = None if siglip else torch.full((context, context), -math.inf).triu(1)
    depth = sum(key.endswith("attn.in_proj_bias") for key in w if key.startswith(prefix + "transformer."))
    for i in range(depth):
        p = f"{prefix}transformer.resblocks.{i}."
        y = F.layer_norm(x, (width,), w[p + "ln_1.weight"], w[p + "ln_1.bias"], eps)[:, None]
        x = x + F.multi_head_attention_forward(
            y, y, y, width, heads, w[p + "attn.in_proj_weight"], w[p + "attn.in_proj_bias"], None, None, False, 0.0,
            w[p + "attn.out_proj.weight"], w[p + "attn.out_proj.bias"], training=False, attn_mask=mask,
            need_weights=False,
        )[0][:, 0]  # fmt: skip
        y = F.layer_norm(x, (width,), w[p + "ln_2.weight"], w[p + "ln_2.bias"], eps)
        y = act(F.linear(y, w[p + "mlp.c_fc.weight"], w[p + "mlp.c_fc.bias"]))
        x = x + F.linear(y, w[p + "mlp.c_proj.weight"], w[p + "mlp.c_proj.bias"])
    x = F.layer_norm(x, (width,), w[prefix + "ln_final.weight"], w[prefix + "ln_final.bias"], eps)
    if siglip:
        x = F.linear(x[-1], w[prefix + "text_projection.weight"], w[prefix + "text_projection.bias"])
    else:
        x = x[max(range(context), key=lambda i: padded[i])] @ w[prefix + "text_projection"]
    return F.normalize(x, dim=0)


def pooled_alone(w, features, heads, activation=F.gelu):
    """SigLIP's pooling of image tokens with every token as the only one: C x h x w -> C x h x w."""
    pool = "visual.trunk.attn_pool."
    c = features.shape[0]
    tokens = features.flatten(1).T[:, None]  # each a sequence of one
    query = F.linear(w[pool + "latent"][0], w[pool + "q.weight"], w[pool + "q.bias"])
    keys, values = F.linear(tokens, w[pool + "kv.weight"], w[pool + "kv.bias"]).chunk(2, -1)
    split = lambda t: t.unflatten(-1, (heads, -1)).transpose(-2, -3)
    x = F.scaled_dot_product_attention(split(query).expand(len(tokens), -1, -1, -1), split(keys), split(values))
    x = F.linear(x.transpose(1, 2).flatten(2), w[pool + "proj.weight"], w[pool + "proj.bias"])[:, 0]
    y = F.layer_norm(x, (c,), w[pool + "norm.weight"], w[pool + "norm.bias"], 1e-6)
    y = activation(F.linear(y, w[pool + "mlp.fc1.weight"], w[pool + "mlp.fc1.bias"]))
    x = x + F.linear(y, w[pool + "mlp.fc2.weight"], w[pool + "mlp.fc2.bias"])
    return x.T.view_as(features)
