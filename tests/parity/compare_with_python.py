#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the loftscope program with Python, live: same random weights, same inputs, number by number.

Run by hand where Python has torch and numpy:

    tests/parity/compare_with_python.py [--program build/release/bin/loftscope] [--keep FOLDER]

Against it stand reference_models.py (DINOv2 and LoftUp from the published equations), torch's own interpolation and,
where they are installed, the models of transformers and timm. Prints one line per comparison; the exit status is 1 if
any is above its tolerance or the program fails. What is not installed is named, not passed over.
"""
import argparse
import collections
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

import reference_models as reference

# Largest absolute difference allowed in fp32. Tokens and upsampled features have a standard deviation of about 1; what
# remains is the order of summation.
BACKBONE_TOLERANCE = 2e-4
LOFTUP_TOLERANCE = 1e-4
ATTENTION_TOLERANCE = 1e-5
INTERPOLATION_TOLERANCE = 1e-5


class Comparison:
    def __init__(self, program, folder):
        self.program = program
        self.folder = folder
        self.failures = 0

    def save(self, name, tensor):
        """A tensor as .npy, for --image, --features and --guidance."""
        path = self.folder / f"{name}.npy"
        np.save(path, np.ascontiguousarray(tensor.numpy()))
        return path

    def save_weights(self, name, weights):
        """The weights in every format that can be written here: {format: path}."""
        paths = {"pth": self.folder / f"{name}.pth"}
        torch.save(collections.OrderedDict(weights), paths["pth"])
        if importlib.util.find_spec("safetensors"):
            from safetensors.torch import save_file

            paths["safetensors"] = self.folder / f"{name}.safetensors"
            save_file({key: value.contiguous() for key, value in weights.items()}, paths["safetensors"])
        return paths

    def run(self, *arguments):
        """Runs the program with --out and returns the array it wrote, or None and says why."""
        out = self.folder / "out.npy"
        out.unlink(missing_ok=True)
        command = [self.program, *map(str, arguments), "--quiet", "--device", "cpu", "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"FAILED  {' '.join(map(str, command))}\n        {done.stderr.strip()}")
            self.failures += 1
            return None
        return torch.from_numpy(np.load(out))

    def check(self, name, actual, expected, tolerance):
        if actual is None:
            return
        if actual.shape != expected.shape:
            verdict, numbers = "FAILED", f"shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
        else:
            difference = (actual.double() - expected.double()).abs()
            verdict = "ok" if difference.max() <= tolerance else "FAILED"
            numbers = f"max {difference.max():.1e}  mean {difference.mean():.1e}  (allowed {tolerance:.0e})"
        self.failures += verdict != "ok"
        print(f"{verdict:7} {name:66} {numbers}")


def picture_of(height, width, seed):
    """A normalised picture of 8-bit pixels, as a photo would be."""
    pixels = torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(seed)) / 255.0
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    return (pixels - mean) / std


def compare_backbone(c, name, paths, sizes, expected_of, options=()):
    for height, width in sizes:
        picture = picture_of(height, width, height * width)
        image = c.save("picture", picture)
        expected = expected_of(picture)
        for kind, path in paths.items():
            tokens = c.run("features", "--backbone", path, "--image", image, *options)
            c.check(f"{name}, {width} x {height}, {kind}", tokens, expected, BACKBONE_TOLERANCE)


def compare_dinov2(c):
    variants = {
        "DINOv2 S/14 wide, 2 blocks": dict(width=384, depth=2, grid=37, patch=14),
        "DINOv2 with registers": dict(width=128, depth=3, grid=16, patch=14, registers=4),
        "DINOv2 with SwiGLU": dict(width=192, depth=2, grid=8, patch=14, swiglu=True),
        "DINOv2, patch 16": dict(width=192, depth=2, grid=14, patch=16),
    }
    for seed, (name, shape) in enumerate(variants.items()):
        weights = reference.random_dinov2(**shape, seed=seed)
        paths = c.save_weights("backbone", weights)
        patch, grid = shape["patch"], shape["grid"]
        sizes = [(grid * patch, grid * patch), (5 * patch, 9 * patch), (20 * patch, 3 * patch)]
        compare_backbone(c, name, paths, sizes, lambda picture: reference.dinov2(weights, picture)[0])
        picture = picture_of(5 * patch, 9 * patch, seed)
        attended = c.run("features", "--backbone", paths["pth"], "--image", c.save("picture", picture), "--attention")
        c.check(f"{name}, attention of CLS", attended, reference.dinov2(weights, picture)[1], ATTENTION_TOLERANCE)


def compare_loftup(c):
    cases = [  # channels, grid, guidance, attending pixel
        (32, (4, 4), (32, 32), (7, 30)),
        (32, (5, 3), (33, 50), (49, 0)),
        (192, (7, 9), (60, 84), (41, 13)),
        (384, (6, 6), (56, 70), (0, 55)),
    ]
    for seed, (channels, grid, size, pixel) in enumerate(cases):
        weights = reference.random_loftup(channels, seed)
        features = torch.randn(1, channels, *grid, generator=torch.Generator().manual_seed(seed))
        guidance = picture_of(*size, seed)
        expected, attention = reference.loftup(weights, features, guidance, pixel)
        inputs = ["--features", c.save("features", features), "--guidance", c.save("guidance", guidance)]
        for kind, path in c.save_weights("loftup", weights).items():
            method = ["--method", "loftup", "--weights", path]
            name = f"LoftUp, {channels} channels, {grid[1]} x {grid[0]} -> {size[1]} x {size[0]}, {kind}"
            c.check(name, c.run("upsample", *method, *inputs), expected, LOFTUP_TOLERANCE)
            tiled = c.run("upsample", *method, *inputs, "--tile", 19)
            c.check(name + ", tiles of 19", tiled, expected, LOFTUP_TOLERANCE)
            x, y, width, height = size[1] // 3, size[0] // 4, size[1] // 2, size[0] // 3
            part = c.run("upsample", *method, *inputs, "--rect", f"{x},{y},{width},{height}")
            c.check(name + ", a rectangle", part, expected[:, y : y + height, x : x + width], LOFTUP_TOLERANCE)
            attended = c.run("attend", *method, *inputs, "--pixel", f"{pixel[0]},{pixel[1]}")
            c.check(name + ", attention", attended, attention, ATTENTION_TOLERANCE)


def compare_interpolation(c):
    features = torch.randn(1, 24, 5, 7, generator=torch.Generator().manual_seed(1))
    grid = c.save("features", features)
    for method in ("nearest", "bilinear", "bicubic"):
        for height, width in ((40, 56), (33, 58), (5, 7)):
            corners = {} if method == "nearest" else {"align_corners": False}
            expected = F.interpolate(features, (height, width), mode=method, **corners)[0]
            inputs = ["--features", grid, "--guidance", c.save("guidance", picture_of(height, width, 3))]
            actual = c.run("upsample", "--method", method, *inputs)
            c.check(f"{method}, 7 x 5 -> {width} x {height}", actual, expected, INTERPOLATION_TOLERANCE)


def randomise(model):
    """Moves every parameter away from its initial value, so that none can be forgotten unnoticed."""
    g = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        scale = 0.5 * parameter.abs().mean() if parameter.abs().mean() > 0 else 0.05
        parameter.data += scale * torch.randn(parameter.shape, generator=g)
    return model.eval()


def compare_transformers(c):
    if not importlib.util.find_spec("transformers"):
        print("-       transformers is not installed: its models are not compared")
        return
    import transformers

    transformers.logging.disable_progress_bar()
    common = dict(hidden_size=128, num_hidden_layers=3, num_attention_heads=2, patch_size=14, image_size=112)
    models = {
        "transformers Dinov2Model": transformers.Dinov2Model(transformers.Dinov2Config(**common)),
        "transformers Dinov2Model, SwiGLU": transformers.Dinov2Model(
            transformers.Dinov2Config(**common, use_swiglu_ffn=True)
        ),
        "transformers Dinov2WithRegistersModel": transformers.Dinov2WithRegistersModel(
            transformers.Dinov2WithRegistersConfig(**common, num_register_tokens=4)
        ),
    }
    for name, model in models.items():
        registers = 4 if "Registers" in name else 0
        randomise(model).save_pretrained(c.folder / "transformers", safe_serialization=True)
        paths = {"save_pretrained": c.folder / "transformers" / "model.safetensors"}

        def expected_of(picture):
            tokens = model(picture).last_hidden_state[0, 1 + registers :]
            return tokens.T.unflatten(1, (picture.shape[2] // 14, picture.shape[3] // 14))

        compare_backbone(c, name, paths, [(112, 112), (84, 154), (210, 56)], expected_of)


def compare_timm(c):
    if not importlib.util.find_spec("timm"):
        print("-       timm is not installed: its models are not compared")
        return
    import timm

    for name, registers in (("vit_small_patch14_dinov2", 0), ("vit_small_patch14_reg4_dinov2", 4)):
        model = randomise(timm.create_model(name, pretrained=False, depth=2, img_size=112, dynamic_img_size=True))
        paths = c.save_weights("timm", model.state_dict())

        def expected_of(picture):
            tokens = model.forward_features(picture)[0, 1 + registers :]
            return tokens.T.unflatten(1, (picture.shape[2] // 14, picture.shape[3] // 14))

        compare_backbone(c, "timm " + name, paths, [(112, 112), (84, 154)], expected_of)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", default=root / "build/release/bin/loftscope", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, help="keep the weights and arrays of the last comparisons here")
    arguments = parser.parse_args()
    if not arguments.program.is_file():
        sys.exit(f"compare_with_python.py: there is no program '{arguments.program}'; ./test builds it")
    with tempfile.TemporaryDirectory() as temporary, torch.inference_mode():
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        c = Comparison(arguments.program.resolve(), folder)
        compare_interpolation(c)
        compare_dinov2(c)
        compare_loftup(c)
        compare_transformers(c)
        compare_timm(c)
    print(f"{c.failures} comparisons failed" if c.failures else "all comparisons agree")
    sys.exit(1 if c.failures else 0)


if __name__ == "__main__":
    main()
