#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes those arrays of tests/golden/backbone.*.safetensors for which no reference implementation's were at hand:
CLIP's plain tokens, SigLIP as Hugging Face runs it, RADIO. Run with a Python that has torch and numpy:
python make_backbone_arrays.py FOLDER, FOLDER being tests/golden. The files are committed, so that the tests need no
Python. reference_backbones.py is itself checked here against the reference implementations' arrays of the same folder
(LoftUp's MaskCLIP, timm's SigLIP), which share all but the last step.
"""
import json
import pathlib
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

import reference_backbones as reference
from make_upsampler_arrays import rounded, save

NUMPY = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32}
TOLERANCE = 2e-5


def load(path):
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    arrays = {}
    for key, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        array = np.frombuffer(raw[begin:end], NUMPY[entry["dtype"]]).reshape(entry["shape"])
        arrays[key] = torch.from_numpy(array.copy())
    return arrays


def must_agree(what, ours, theirs):
    gap = (ours - theirs).abs().max().item()
    print(f"{what}: largest difference {gap:.1e}")
    assert gap <= TOLERANCE, what


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.manual_seed(11)
    torch.set_num_threads(1)
    grids = ("native", "other", "samecount")

    clip = reference.from_openai_clip(load(folder / "backbone.clip_openai.weights.safetensors"))
    cases = load(folder / "backbone.clip_openai.cases.safetensors")
    tokens = {}
    for grid in grids:
        picture = cases[f"image.{grid}"].float()
        must_agree(f"CLIP values, {grid}", reference.clip(clip, picture, plain=False), cases[f"tokens.{grid}"])
        tokens[f"tokens.{grid}"] = reference.clip(clip, picture, plain=True)
    tokens["tokens.by_size"] = reference.clip(clip, cases["image.other"].float(), plain=False, offset=None)
    save(folder / "backbone.clip_plain.cases.safetensors", tokens, {"weights": "backbone.clip_openai.weights"})

    siglip = load(folder / "backbone.siglip_timm.weights.safetensors")
    siglip = {key.removeprefix("visual.trunk."): value.float() for key, value in siglip.items()}
    cases = load(folder / "backbone.siglip_timm.cases.safetensors")
    tokens = {}
    for grid in [g for g in grids if f"image.{g}" in cases]:
        picture = cases[f"image.{grid}"].float()
        must_agree(f"SigLIP in timm's way, {grid}", reference.siglip(siglip, picture), cases[f"tokens.{grid}"])
        tokens[f"tokens.{grid}"] = reference.siglip(siglip, picture, reference.gelu_tanh, antialias=False)
    save(folder / "backbone.siglip_hf.cases.safetensors", tokens, {"weights": "backbone.siglip_timm.weights"})

    weights = rounded(reference.random_radio(width=64, blocks=2, patch=16, side=8, prefix_tokens=7, seed=3))
    exact = {key: value.float() for key, value in weights.items()}
    published = {"base_model." + key: value for key, value in weights.items()}
    mean, deviation = torch.tensor([0.45, 0.5, 0.4]), torch.tensor([0.25, 0.2, 0.3])
    published["input_conditioner.norm_mean"] = mean.view(3, 1, 1)
    published["input_conditioner.norm_std"] = deviation.view(3, 1, 1)
    save(folder / "backbone.radio_tiny.weights.safetensors", published, {})
    cases = {}
    for grid, size in (("native", (128, 128)), ("other", (80, 144)), ("square", (64, 64)), ("samecount", (64, 256))):
        picture = torch.randn(1, 3, *size).half()
        cases[f"image.{grid}"] = picture
        cases[f"tokens.{grid}"] = reference.radio(exact, picture.float())
    save(folder / "backbone.radio_tiny.cases.safetensors", cases, {"weights": "backbone.radio_tiny.weights"})


if __name__ == "__main__":
    with torch.inference_mode():
        main()
