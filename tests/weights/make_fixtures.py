# SPDX-License-Identifier: Apache-2.0
"""Makes the small PyTorch files in tests/golden/weights that the tests of core/weights read.

Run with a Python that has torch: python make_fixtures.py FOLDER. All values are our own: small ranges of
numbers that the tests know. The files are committed, so that the tests need no Python.
"""

import argparse
import collections
import io
import pathlib
import pickle
import sys
import zipfile

import torch


def numbers(*shape, start=0, dtype=torch.float32):
    count = 1
    for extent in shape:
        count *= extent
    return (torch.arange(count) + start).reshape(shape).to(dtype)


class Block(torch.nn.Module):
    def __init__(self, start):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        self.norm = torch.nn.BatchNorm1d(2)
        self.register_buffer("index", torch.arange(4))
        self.scale = 1.5
        self.names = ["a", "b"]
        with torch.no_grad():
            self.linear.weight.copy_(numbers(2, 3, start=start))
            self.linear.bias.copy_(numbers(2, start=start + 10))

    def forward(self, x):
        return self.norm(self.linear(x))


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Block(0), Block(100)])
        self.gain = torch.nn.Parameter(numbers(2, dtype=torch.float16))
        self.pair = (1, 2)

    def forward(self, x):
        for block in self.blocks:
            x = torch.cat([block(x), x[:, :1]], 1)
        return x * self.gain.float().sum()


class Evil:
    """Would run a command if it were unpickled by Python."""

    def __reduce__(self):
        import os

        return (os.system, ("touch loftscope_was_fooled",))


def weights(start=0):
    return collections.OrderedDict(
        [("layer.weight", numbers(2, 3, start=start)), ("layer.bias", numbers(2, start=start + 50))]
    )


def repack(source, destination, change):
    """Writes the entries of a zip again, stored and with right checksums, after change(name, bytes)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(destination, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            data = change(info.filename, old.read(info.filename))
            if data is not None:
                new.writestr(info.filename, data)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)

    def save(name, value, **options):
        torch.save(value, folder / name, **options)

    save("ordered_dict.pth", weights())
    save("plain_dict.pth", dict(weights()))
    save("protocol4.pth", weights(), pickle_protocol=4)
    save("protocol5.pth", weights(), pickle_protocol=5)
    save("legacy.pth", weights(), _use_new_zipfile_serialization=False)
    plain = {"text": "a\u20acb", "numbers": [1, -2, 70000, 1 << 40, 2.5], "none": None, "yes": True, "pair": (1, 2),
             "nested": {"no": False}, "big": 1 << 100}
    for protocol in range(6):
        (folder / f"plain.protocol{protocol}.pkl").write_bytes(pickle.dumps(plain, protocol))
    (folder / "raw_pickle.pth").write_bytes(pickle.dumps({"a": [1.0, 2.0]}))

    every = {
        str(dtype).split(".")[1]: numbers(2, 3).to(dtype)
        for dtype in (
            torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32,
            torch.int16, torch.int8, torch.uint8, torch.bool, torch.uint16, torch.uint32, torch.uint64,
            torch.float8_e4m3fn,
        )
    }
    save("every_type.pth", every)

    base = numbers(4, 6)
    tagged = numbers(2, 2)
    tagged.note = "an attribute"
    save(
        "views.pth",
        {
            "whole": base,
            "row": base[2],
            "column": base[:, 1],
            "transposed": base.t(),
            "expanded": torch.ones(1).expand(5),
            "scalar": torch.tensor(2.5),
            "empty": torch.empty(0, 3),
            "parameter": torch.nn.Parameter(numbers(3)),
            "tagged": tagged,
        },
    )

    save("state_dict.pth", {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in weights().items()}})
    save("model_and_ema.pth", {"ema": weights(200), "model": weights(100), "epoch": torch.tensor(7)})
    save("teacher_student.pth", {"student": weights(100), "teacher": weights(200)})
    optimizer = {"state": {i: {"exp_avg": numbers(9), "a": numbers(1), "b": numbers(1)} for i in range(3)}}
    save("lightning.ckpt", {
        "state_dict": {"upsampler.a": numbers(2), "model.1.norm.weight": numbers(3)},
        "optimizer_states": [optimizer],
        "hyper_parameters": argparse.Namespace(rate=0.1, path=pathlib.PurePosixPath("somewhere")),
        "pytorch-lightning_version": "2.0",
    })
    save("module.pth", {"model": Model().eval(), "args": argparse.Namespace(depth=2)})
    save("tensor.pt", numbers(2, 3))
    save("tensors_in_list.pt", [numbers(2), numbers(3)])
    save("no_tensors.pth", {"epoch": 3, "name": "nothing"})
    save("complex.pth", {"a": numbers(2), "phase": torch.ones(2, dtype=torch.complex64)})
    save("evil.pth", {"weight": numbers(2), "boom": Evil()})

    torch.jit.script(Model().eval()).save(str(folder / "script.pt"))

    # A tensor that claims more elements than its storage has bytes.
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(5)}, buffer)

    def claim_more(name, data):
        if name.endswith("data.pkl"):
            # BININT1 5 as storage count and as size, strides and offset stay.
            return data.replace(b"K\x05", b"K\x64")
        return data

    repack(buffer, folder / "oob_numel.pth", claim_more)
    repack(
        folder / "ordered_dict.pth",
        folder / "big_endian.pth",
        lambda name, data: b"big" if name.endswith("byteorder") else data,
    )
    repack(
        folder / "ordered_dict.pth",
        folder / "missing_storage.pth",
        lambda name, data: None if name.endswith("data/1") else data,
    )
    with zipfile.ZipFile(folder / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("bomb/data.pkl", bytes(60_000_000))
    with zipfile.ZipFile(folder / "no_pickle.zip", "w") as plain:
        plain.writestr("a/readme.txt", "nothing here")


if __name__ == "__main__":
    main()
