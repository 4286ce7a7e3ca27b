#!/usr/bin/env python3
"""Processor time of a cold build, before and after, on one machine in one run.

    packaging/compare_build_cost.py --before COMMIT [--target loftscope] [--share 1.0] [--libtorch FOLDER]

Both sides are configured without ccache. Their compile commands run in one random order, two at a time, so that both sides see
the same weather on a shared machine; linking (seconds, on both sides) is left out. `--share 0.2` runs a fifth of the files of the earlier
commit, drawn at random, and scales them up: an estimate in a fifth of the time. Prints seconds of processor time, the ratio, and
the largest memory of two compilers at once.
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run_measured(command, folder):
    """Runs a shell command; seconds of processor time and peak memory in bytes of it and its children."""
    process = subprocess.Popen(["bash", "-c", command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode(errors="replace")
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{errors}\ncompare_build_cost.py: '{command[:200]}' failed.")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def configure(source, build, libtorch):
    done = subprocess.run(["cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DCCACHE_PROGRAM=NOTFOUND",
                           "-DLIBTORCH_ROOT=" + libtorch], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr + f"compare_build_cost.py: {source} could not be configured.")


def steps_of(build, target):
    """Ninja's commands for the target: what makes objects, and what is precompiled for them."""
    text = subprocess.run(["ninja", "-t", "commands", target], cwd=build, capture_output=True, text=True, check=True).stdout
    compile_step = re.compile(r" -c \S+\.(cpp|cxx)$| -c \S+\.cxx\.o")
    lines = text.strip().split("\n")
    return ([line for line in lines if compile_step.search(line) and ".gch" not in line],
            [line for line in lines if ".gch" in line])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="COMMIT", required=True)
    parser.add_argument("--target", default="loftscope")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--libtorch", metavar="FOLDER", default=os.environ.get("LIBTORCH_ROOT", ""))
    options = parser.parse_args()
    libtorch = options.libtorch or str(next((ROOT / ".deps").glob("venv/lib/python3*/site-packages/torch"), ""))

    os.environ["CCACHE_DISABLE"] = "1"
    with tempfile.TemporaryDirectory() as work:
        sources = {"before": f"{work}/source", "after": str(ROOT)}
        subprocess.run(["git", "clone", "--quiet", str(ROOT), sources["before"]], check=True)
        subprocess.run(["git", "checkout", "--quiet", options.before], cwd=sources["before"], check=True)
        seconds, scale, queue = {}, {}, []
        for side, source in sources.items():
            build = f"{work}/{side}"
            configure(source, build, libtorch)
            # What is generated (mocs, resources) has to be there before the files that include it.
            generated = [line for line in subprocess.run(["ninja", "-t", "targets", "all"], cwd=build, capture_output=True,
                                                         text=True, check=True).stdout.split("\n") if re.match(r"\S*_autogen: ", line)]
            subprocess.run(["ninja", *[line.split(":")[0] for line in generated]], cwd=build, check=True, stdout=subprocess.DEVNULL)
            objects, precompiled = steps_of(build, options.target)
            chosen = objects
            if side == "before" and options.share < 1:
                chosen = random.sample(objects, max(1, round(options.share * len(objects))))
            scale[side] = len(objects) / len(chosen)
            seconds[side] = sum(run_measured(line, build)[0] for line in precompiled)
            queue += [(side, build, line) for line in chosen]
            print(f"{side}: {len(objects)} objects, {len(chosen)} of them compiled", flush=True)
        random.shuffle(queue)
        peaks = {"before": [], "after": []}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for (side, _, _), (used, peak) in zip(queue, pool.map(lambda step: run_measured(step[2], step[1]), queue)):
                seconds[side] += used * scale[side]
                peaks[side].append(peak)
        for side in sources:
            largest = sorted(peaks[side])[-2:]
            print(f"{side:6}: {seconds[side]:7.0f} s of processor time to compile, two compilers at once at most {sum(largest) / 1e9:.1f} GB")
        print(f"ratio : {seconds['before'] / seconds['after']:.2f}")


if __name__ == "__main__":
    main()
