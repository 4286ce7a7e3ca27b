#!/usr/bin/env python3
"""Compiles source files one by one, without optimisation or output: does each include what it needs?

    packaging/check_files_alone.py [--since COMMIT | --all] [--libtorch FOLDER]

The usual build reads several files as one unit, in which a file may lean on what its neighbours include. By default this
looks at the files that differ from the branch origin/main (or, on that branch, from the commit before), and at all that
include them; where git cannot tell, at every file. Ends with 1 if a file does not compile alone.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def git(*arguments):
    """The lines that git prints, or None if it fails."""
    done = subprocess.run(["git", "-c", "safe.directory=*", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else None


def changed_since(commit):
    """Paths that differ from `commit`, those not yet committed included; None: unknown."""
    if commit is None:
        head, base = git("rev-parse", "HEAD"), git("merge-base", "HEAD", "origin/main")
        commit = base[0] if base and base != head else "HEAD~1"
    changed = git("diff", "--name-only", commit)
    return None if changed is None else set(changed) | set(git("ls-files", "--others", "--exclude-standard") or [])


def with_includers(changed, sources):
    """Those of `sources` that are in `changed` or include, also by way of others, what is."""
    headers = [path for folder in ("core", "ui", "app", "tests") for path in (ROOT / folder).rglob("*.h")]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in headers}
    texts.update({source: (ROOT / source).read_text() for source in sources})
    includes = {path: set(re.findall(r'#include "([^"]+)"', text)) for path, text in texts.items()}
    reached, grown = set(changed), True
    while grown:
        more = {path for path, named in includes.items() if path not in reached and named & reached}
        reached |= more
        grown = bool(more)
    return [source for source in sources if source in reached]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--since", metavar="COMMIT")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--libtorch", metavar="FOLDER", default=os.environ.get("LIBTORCH_ROOT", ""))
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as build:
        configure = ["cmake", "--preset", "no-unity", "-B", build, "-DLIBTORCH_ROOT=" + options.libtorch]
        done = subprocess.run(configure, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr + "check_files_alone.py: the preset no-unity could not be configured.")
        commands = {}
        for entry in json.loads((pathlib.Path(build) / "compile_commands.json").read_text()):
            path = pathlib.Path(entry["file"])
            if path.is_relative_to(ROOT):
                commands.setdefault(str(path.relative_to(ROOT)), []).append(shlex.split(entry["command"]))
        changed = None if options.all else changed_since(options.since)
        names = sorted(commands) if changed is None else with_includers(changed, sorted(commands))

        def compile_alone(name):
            for command in commands[name]:
                words = [word for word in command if "ccache" not in word.lower()]
                words[words.index("-o") + 1] = os.devnull
                done = subprocess.run(words + ["-O0", "-fsyntax-only"], cwd=build, capture_output=True, text=True)
                if done.returncode != 0:
                    return done.stderr
            return ""

        print(f"{len(names)} of {len(commands)} files, each on its own", flush=True)
        failures = 0
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for i, (name, errors) in enumerate(zip(names, pool.map(compile_alone, names))):
                if errors:
                    failures += 1
                    print(f"{name} does not compile alone:\n{errors}", flush=True)
                elif i % 50 == 49:
                    print(f"  {i + 1} files", flush=True)
        if failures:
            sys.exit(f"check_files_alone.py: {failures} of {len(names)} files lean on what others include.")


if __name__ == "__main__":
    main()
