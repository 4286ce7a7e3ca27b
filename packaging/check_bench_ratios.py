#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails where LoftUp has become slower, larger or less exact beside plain PyTorch modules than it was.

    packaging/check_bench_ratios.py PROGRAM [--store] [--rounds 3]

Runs the cases of bench_ratios.json as bench_against_torch.py does and compares ratios of processor time, never seconds:
they depend little on how busy or how quick a machine is, but on its kind (see "machine" there). A ratio may be a fifth
worse than stored. `--store` writes what is measured now. Not a unit test: by hand, or `ctest -C Bench -L bench`.
"""
import argparse
import json
import pathlib
import sys
import tempfile

import bench_against_torch

STORED = pathlib.Path(__file__).with_name("bench_ratios.json")
SLACK = 0.8


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    stored = json.loads(STORED.read_text())
    worse = 0
    with tempfile.TemporaryDirectory() as folder:
        comparison = bench_against_torch.Comparison(arguments.program, folder)
        for case in stored["cases"]:
            now = comparison.measure(case["size"], case["precision"], case["threads"], arguments.rounds)
            ratio = now["cpu"]["ratio"]
            # What lies apart may double; the goal of 0.9995 holds whatever was stored.
            exact = now["largest_difference"] <= 2 * case["largest_difference"] and now["smallest_cosine"] >= 0.9995
            small = now["loftscope_mib"] <= 1.25 * case["loftscope_mib"] + 16
            good = ratio >= SLACK * case["ratio"] and exact and small
            worse += not good
            print(f"{'ok   ' if good else 'WORSE'} {case['size']} x {case['size']} {case['precision']}: ratio {ratio:.2f} "
                  f"(stored {case['ratio']:.2f}), {now['loftscope_mib']:.0f} MiB ({case['loftscope_mib']:.0f}), difference "
                  f"{now['largest_difference']:.1e} ({case['largest_difference']:.1e}), cosine {now['smallest_cosine']:.6f}")
            if arguments.store:
                case.update(ratio=round(ratio, 2), loftscope_mib=round(now["loftscope_mib"]),
                            largest_difference=float(f"{now['largest_difference']:.2e}"))
    if arguments.store:
        STORED.write_text(json.dumps(stored, indent=1) + "\n")
        return 0
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
