#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/{anyup,featup,jafar,naf,uplift}_tiny.*.safetensors: small random weights, and what reference_upsamplers.py makes of
them. Run with a Python that has torch and numpy: python make_upsampler_arrays.py FOLDER. The files are committed, so
that the tests need no Python. The modules themselves were checked with the published weights (docs/models.md).
"""
import json
import pathlib
import struct
import sys

import torch

import reference_upsamplers as reference

TYPES = {torch.float32: "F32", torch.float16: "F16"}


def save(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for key, value in tensors.items():
        raw = value.contiguous().numpy().tobytes()
        header[key] = {
            "dtype": TYPES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def rounded(weights):
    """Values that fp16 holds exactly: the reference computes with the very numbers that are stored."""
    return {key: value.half() for key, value in weights.items()}


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.manual_seed(7)
    torch.set_num_threads(1)

    weights = rounded(reference.random_anyup(32, seed=1))
    save(folder / "anyup_tiny.weights.safetensors", weights, {"width": "32"})
    exact = {key: value.float() for key, value in weights.items()}
    for name, channels, grid, picture, size, pixel in (
        ("square", 20, (6, 6), (48, 48), (48, 48), (0, 0)),
        ("nonsquare", 70, (5, 9), (40, 72), (40, 72), (37, 21)),
        ("pooled", 33, (3, 4), (30, 34), (17, 23), (22, 16)),
        ("enlarged", 8, (2, 2), (9, 12), (20, 21), (3, 18)),
    ):
        features = torch.randn(1, channels, *grid)
        guidance = torch.randn(1, 3, *picture)
        output, attention = reference.anyup(exact, features, guidance, size, pixel)
        save(
            folder / f"anyup_tiny.{name}.safetensors",
            {"input.features": features, "input.guidance": guidance, "output": output, "attention": attention},
            {"pixel": f"{pixel[0]},{pixel[1]}"},
        )

    # A picture that is bound in several strips, by a rule instead of its numbers; brighter in one corner.
    features = torch.randn(1, 16, 4, 6)
    y, x = torch.meshgrid(torch.arange(130), torch.arange(300), indexing="ij")
    guidance = torch.stack([((7 * x + 13 * y + 5 * c) % 17) / 8 - 1 for c in range(3)])[None].float()
    guidance[:, :, :40, :40] += 3
    output, _ = reference.anyup(exact, features, guidance)
    save(
        folder / "anyup_tiny.strips.safetensors",
        {"input.features": features, "output.corner": output[:, 120:124, 280:284], "output.middle": output[:, 50:58, 30:34]},
        {},
    )

    weights = rounded(reference.random_featup(12, seed=2))
    save(folder / "featup_tiny.weights.safetensors", weights, {"channels": "12"})
    exact = {key: value.float() for key, value in weights.items()}
    for name, grid, picture in (("square", (3, 3), (48, 48)), ("offsize", (2, 4), (37, 50))):
        features = torch.randn(1, 12, *grid)
        guidance = torch.randn(1, 3, *picture)
        # Without the mix of channels the stack is linear in each one: unit features show the weights of every token.
        tokens = grid[0] * grid[1]
        units = torch.eye(tokens).view(1, tokens, *grid)
        shares = reference.featup(exact, units, guidance, channel_mix=False)
        places = [(0, 0), (shares.shape[2] - 1, 5), (21, shares.shape[1] - 1), (20, 17)]  # x, y
        save(
            folder / f"featup_tiny.{name}.safetensors",
            {
                "input.features": features,
                "input.guidance": guidance,
                "output": reference.featup(exact, features, guidance),
                "weights_at": torch.stack([shares[:, y, x].view(grid) for x, y in places]),
                "pixels": torch.tensor(places, dtype=torch.float32),
            },
            {},
        )

    weights = rounded(reference.random_jafar(32, 20, seed=3))
    save(folder / "jafar_tiny.weights.safetensors", weights, {"width": "32", "channels": "20"})
    exact = {key: value.float() for key, value in weights.items()}
    for name, grid, picture, size, pixel in (
        ("square", (6, 6), (48, 48), (48, 48), (0, 0)),
        ("nonsquare", (5, 9), (40, 72), (40, 72), (37, 21)),
        ("pooled", (3, 4), (30, 34), (17, 23), (22, 16)),
        ("strips", (2, 3), (70, 260), (70, 260), (259, 3)),
    ):
        features = torch.randn(1, 20, *grid)
        guidance = torch.randn(1, 3, *picture).half()
        output, attention = reference.jafar(exact, features, guidance.float(), size, pixel)
        arrays = {"input.features": features, "input.guidance": guidance, "attention": attention}
        if name == "strips":
            # Bound in several strips; a part of it says whether they fit together.
            arrays["output.part"] = output[:, 55:70, 240:260]
        else:
            arrays["output"] = output
        save(folder / f"jafar_tiny.{name}.safetensors", arrays, {"pixel": f"{pixel[0]},{pixel[1]}"})

    weights = rounded(reference.random_naf(64, seed=4))
    save(folder / "naf_tiny.weights.safetensors", weights, {"width": "64"})
    exact = {key: value.float() for key, value in weights.items()}
    for name, grid, picture, size, pixel in (
        ("square", (10, 10), (40, 40), (40, 40), (0, 0)),
        ("nonsquare", (9, 12), (36, 48), (36, 48), (47, 20)),
        ("uneven", (9, 11), (41, 52), (41, 52), (30, 40)),  # cells of 4.6 and 4.7 pixels
        ("pooled", (9, 10), (62, 71), (37, 23), (22, 36)),
        ("shrunk", (9, 9), (80, 60), (18, 20), (7, 9)),  # more than four times the output
    ):
        features = torch.randn(1, 12, *grid)
        guidance = torch.randn(1, 3, *picture).half()
        output, attention = reference.naf(exact, features, guidance.float(), size, pixel)
        save(
            folder / f"naf_tiny.{name}.safetensors",
            {"input.features": features, "input.guidance": guidance, "output": output, "attention": attention},
            {"pixel": f"{pixel[0]},{pixel[1]}"},
        )

    weights = rounded(reference.random_uplift(12, (6, 8, 10, 12, 12), 20, seed=5))
    save(folder / "uplift_tiny.weights.safetensors", weights, {"channels": "12"})
    exact = {key: value.float() for key, value in weights.items()}
    for name, grid, picture, pixel in (
        ("square", (3, 3), (48, 48), (0, 0)),
        ("nonsquare", (2, 5), (32, 80), (79, 17)),
        ("patch14", (3, 2), (42, 28), (13, 47)),
    ):
        features = torch.randn(1, 12, *grid)
        guidance = torch.randn(1, 3, *picture).half()
        output, attention = reference.uplift(exact, features, guidance.float(), pixel)
        save(
            folder / f"uplift_tiny.{name}.safetensors",
            {"input.features": features, "input.guidance": guidance, "output": output, "attention": attention},
            {"pixel": f"{pixel[0]},{pixel[1]}"},
        )


if __name__ == "__main__":
    main()
