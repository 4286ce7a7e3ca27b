#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times LoftUp in this program beside plain PyTorch modules, in turn and with the same threads, and prints ratios.

    packaging/bench_against_torch.py PROGRAM [--sizes 224,448] [--precision fp32] [--threads 1] [--rounds 3]

The modules (tests/parity/reference_models.py) follow the published equations and compute the whole picture at once,
as the published code does; weights and features are random, of 384 channels, 14 pixels a token. Every round times both sides once; the
medians of processor time and of wall time are compared, because a machine that others use as well disturbs the
latter. Results are compared too: largest difference, and the smallest cosine between two pixels' features.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "parity"))
import reference_models  # noqa: E402


def save(path, tensors):
    header, data, offset = {}, [], 0
    for name, tensor in tensors.items():
        kind = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        raw = tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
        data.append(raw)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(data))


def torch_side(weights, features, guidance):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        output, _ = reference_models.loftup(weights, features, guidance)
    spent = (time.perf_counter() - wall, time.process_time() - processor)
    return output, spent, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--sizes", default="224")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--channels", type=int, default=384)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    weights = reference_models.random_loftup(arguments.channels, seed=3)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        save(folder / "loftup.safetensors", weights)
        common = ["--threads", str(arguments.threads), "--precision", arguments.precision, "--quiet", "--json"]
        for size in map(int, arguments.sizes.split(",")):
            generator = torch.Generator().manual_seed(size)
            features = torch.randn(1, arguments.channels, size // 14, size // 14, generator=generator)
            guidance = torch.randint(0, 256, (1, 3, size, size), generator=generator) / 255
            guidance = torch.nn.functional.avg_pool2d(guidance, 5, 1, 2).mul(255).round().div(255)  # a photo of 8 bits
            save(folder / "features.safetensors", {"features": features[0]})
            save(folder / "guidance.safetensors", {"guidance": guidance[0]})
            theirs, ours, output = [], [], None
            peaks = []
            for _ in range(arguments.rounds):
                output, spent, peak = torch_side(weights, features, guidance)
                theirs.append(spent)
                peaks.append(peak)
                report = json.loads(subprocess.run(
                    [arguments.program, "bench", "-u", f"loftup={folder / 'loftup.safetensors'}", "--sizes", str(size),
                     "--channels", str(arguments.channels), "--repeat", "1", "--no-pca", *common],
                    check=True, capture_output=True, text=True).stdout)
                stages = {stage["stage"]: stage for stage in report["cases"][0]["stages"]}
                ours.append(tuple(stages["bind"][key] + stages["tiles"][key] for key in ("wall_s", "cpu_s")))
                memory = report["cases"][0].get("peak_mib")
            subprocess.run(
                [arguments.program, "upsample", "--method", "loftup", "--weights", folder / "loftup.safetensors", "--features",
                 folder / "features.safetensors", "--guidance", folder / "guidance.safetensors", "--out", folder / "out.npy",
                 *common], check=True, capture_output=True)
            import numpy
            mine = torch.from_numpy(numpy.load(folder / "out.npy"))
            difference = (mine - output).abs().max().item()
            cosine = torch.nn.functional.cosine_similarity(mine, output, dim=0).min().item()
            for index, kind in enumerate(("wall", "cpu")):
                a = statistics.median(t[index] for t in theirs)
                b = statistics.median(t[index] for t in ours)
                print(f"{size} x {size}, {arguments.precision}, {arguments.threads} threads, {kind}: torch fp32 {a:.3f} s, "
                      f"LoftScope {b:.3f} s, ratio {a / b:.2f}")
            print(f"  memory over weights and picture: torch {max(peaks):.0f} MiB (first round), LoftScope {memory:.0f} MiB, "
                  f"ratio {max(peaks) / memory:.1f}")
            print(f"  largest difference {difference:.2e}, smallest cosine {cosine:.6f}")


if __name__ == "__main__":
    main()
