#!/usr/bin/env bash
# Checks that every C++ file is formatted as .clang-format says; `--fix` formats them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=(--dry-run -Werror)
[[ ${1:-} != --fix ]] || mode=(-i)
# Without a checkout (an unpacked archive), every file of the source folders counts.
mapfile -d '' files < <(git -c safe.directory='*' ls-files -z '*.h' '*.cpp' 2>/dev/null ||
    find app core tests ui \( -name '*.h' -o -name '*.cpp' \) -print0)
((${#files[@]} > 0)) || { echo "check-format.sh: found no C++ files" >&2; exit 1; }
clang-format-14 "${mode[@]}" "${files[@]}"
