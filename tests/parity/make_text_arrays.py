#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/text.*: small vocabularies learned from the words below, small random text towers, and what
reference_text.py makes of them. Run with a Python that has torch, numpy and sentencepiece:
python make_text_arrays.py FOLDER. The files are committed, so that the tests need no Python.
"""
import functools
import gzip
import io
import pathlib
import sys

import sentencepiece
import torch
import torch.nn.functional as F

import reference_text as reference
from make_upsampler_arrays import rounded, save

CORPUS = """a photo of a dog. a photo of the cat's house. two dogs and three cats on the grass, it's raining. a red car in
front of a tree. the sky above the sea. people who don't look at the camera. a bicycle against a wall. windows of a
church. a bowl of apples and oranges. the road to the mountains. birds that fly over the water at night"""
TEXTS = ["a dog", "the cat's 3 houses!", "  Trees,   SEA & sky_line ", "caf\u00e9 \u6c34", "rain " * 40]


def numbers(tokens):
    return torch.tensor(tokens, dtype=torch.float32)


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)

    merges = reference.learned_merges(CORPUS, 60)
    lines = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    (folder / "text.clip.merges.txt").write_text(lines)
    # Packed as its publisher does it, with lines behind those that are used.
    with gzip.GzipFile(folder / "text.clip.vocab.txt.gz", "wb", mtime=0) as packed:
        packed.write((lines + "x y\nz w\n").encode())
    words, context, width = 2 * 256 + 60 + 2, 20, 128
    weights = rounded(reference.random_tower(words, context, width, 64, 2, 96, seed=1))
    save(folder / "text.clip.weights.safetensors", weights, {})
    exact = {key: value.float() for key, value in weights.items()}
    arrays = {}
    for i, text in enumerate(TEXTS):
        tokens = reference.clip_tokens(text, merges)
        tokens = tokens[: context - 1] + tokens[-1:] if len(tokens) > context else tokens
        arrays[f"tokens.{i}"] = numbers(tokens)
        arrays[f"direction.{i}"] = reference.tower(exact, tokens, width // 64)
        arrays[f"direction_gelu.{i}"] = reference.tower(exact, tokens, width // 64, activation=F.gelu)
    save(folder / "text.clip.cases.safetensors", arrays, {})

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([reference.siglip_canonical(line) for line in CORPUS.split(".")]),
        model_writer=model, vocab_size=58, normalization_rule_name="identity", model_type="unigram",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=1.0,
    )  # fmt: skip
    (folder / "text.siglip.spiece.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = {
        processor.id_to_piece(i): (i, processor.get_score(i))
        for i in range(len(processor))
        if not processor.is_control(i) and not processor.is_unknown(i)
    }
    words, context = len(processor), 16
    weights = rounded(reference.random_tower(words, context, width, 64, 1, 128, "text.", True, seed=2))
    save(folder / "text.siglip.weights.safetensors", weights, {})
    exact = {key: value.float() for key, value in weights.items()}
    features = torch.randn(128, 3, 4, generator=torch.Generator().manual_seed(3))
    tanh = functools.partial(F.gelu, approximate="tanh")
    arrays = {
        "features": features,
        "pooled": reference.pooled_alone(exact, features, 2),
        "pooled_tanh": reference.pooled_alone(exact, features, 2, tanh),
    }
    for i, text in enumerate(TEXTS):
        tokens = reference.siglip_tokens(text, pieces, processor.unk_id(), processor.eos_id())
        tokens = tokens[: context - 1] + tokens[-1:] if len(tokens) > context else tokens
        arrays[f"tokens.{i}"] = numbers(tokens)
        arrays[f"direction.{i}"] = reference.tower(exact, tokens, width // 64, "text.", True)
        arrays[f"direction_tanh.{i}"] = reference.tower(exact, tokens, width // 64, "text.", True, tanh)
    save(folder / "text.siglip.cases.safetensors", arrays, {})


if __name__ == "__main__":
    main()
