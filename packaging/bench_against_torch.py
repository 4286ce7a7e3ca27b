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

import numpy
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


class Comparison:
    """Both sides with the same random weights. `measure` gives seconds, ratios, memory and how far results lie apart."""

    def __init__(self, program, folder, channels=384):
        self.program, self.folder, self.channels = program, pathlib.Path(folder), channels
        self.weights = reference_models.random_loftup(channels, seed=3)
        save(self.folder / "loftup.safetensors", self.weights)

    def run(self, *arguments):
        return subprocess.run([self.program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    def measure(self, size, precision="fp32", threads=1, rounds=3):
        torch.set_num_threads(threads)
        folder = self.folder
        generator = torch.Generator().manual_seed(size)
        features = torch.randn(1, self.channels, size // 14, size // 14, generator=generator)
        guidance = torch.randint(0, 256, (1, 3, size, size), generator=generator) / 255
        guidance = torch.nn.functional.avg_pool2d(guidance, 5, 1, 2).mul(255).round().div(255)  # a photo of 8 bits
        save(folder / "features.safetensors", {"features": features[0]})
        save(folder / "guidance.safetensors", {"guidance": guidance[0]})
        common = ["--threads", threads, "--precision", precision, "--quiet", "--json"]
        model = folder / "loftup.safetensors"
        theirs, ours, peaks, memory = [], [], [], []
        for _ in range(rounds):
            output, spent, peak = torch_side(self.weights, features, guidance)
            theirs.append(spent)
            peaks.append(peak)
            report = json.loads(self.run("bench", "-u", f"loftup={model}", "--sizes", size, "--channels", self.channels,
                                         "--repeat", 1, "--no-pca", *common))
            case = report["cases"][0]
            stages = {stage["stage"]: stage for stage in case["stages"]}
            ours.append(tuple(stages["bind"][key] + stages["tiles"][key] for key in ("wall_s", "cpu_s")))
            memory.append(case.get("peak_mib", 0))
        self.run("upsample", "--method", "loftup", "--weights", model, "--features", folder / "features.safetensors",
                 "--guidance", folder / "guidance.safetensors", "--out", folder / "out.npy", *common)
        mine = torch.from_numpy(numpy.load(folder / "out.npy"))
        result = {"size": size, "precision": precision, "threads": threads}
        for index, kind in enumerate(("wall", "cpu")):
            a = statistics.median(t[index] for t in theirs)
            b = statistics.median(t[index] for t in ours)
            result[kind] = {"torch_s": a, "loftscope_s": b, "ratio": a / b}
        # Only the first round of this process shows what it needs: later ones find memory that is there already.
        result["torch_mib"], result["loftscope_mib"] = max(peaks), max(memory)
        result["largest_difference"] = (mine - output).abs().max().item()
        result["smallest_cosine"] = torch.nn.functional.cosine_similarity(mine, output, dim=0).min().item()
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--sizes", default="224")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--channels", type=int, default=384)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(arguments.program, folder, arguments.channels)
        for size in map(int, arguments.sizes.split(",")):
            result = comparison.measure(size, arguments.precision, arguments.threads, arguments.rounds)
            for kind in ("wall", "cpu"):
                times = result[kind]
                print(f"{size} x {size}, {arguments.precision}, {arguments.threads} threads, {kind}: torch fp32 "
                      f"{times['torch_s']:.3f} s, LoftScope {times['loftscope_s']:.3f} s, ratio {times['ratio']:.2f}")
            print(f"  memory over weights and picture: torch {result['torch_mib']:.0f} MiB (first round), "
                  f"LoftScope {result['loftscope_mib']:.0f} MiB")
            print(f"  largest difference {result['largest_difference']:.2e}, smallest cosine {result['smallest_cosine']:.6f}")


if __name__ == "__main__":
    main()
