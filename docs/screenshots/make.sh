#!/usr/bin/env bash
# docs/screenshots/make.sh [PHOTO]: makes the pictures of this folder anew from the built program, on a virtual display.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../packaging/setup.sh
source "$here/../../packaging/setup.sh"

program=$root/build/release/bin/loftscope
[[ -x $program ]] || die "Build the program first: ./run"
command -v xvfb-run >/dev/null || die "xvfb-run is missing: install the package xvfb."
photo=${1:-}
if [[ -z $photo ]]; then
    photo=$(sample_photo) || die "No sample photo could be fetched: name one."
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/steps.json" <<JSON
[
    {"do": "resize", "size": [1400, 760]},
    {"do": "click", "pane": 1, "at": [300, 290]},
    {"do": "wait-idle"},
    {"do": "key", "key": "4"},
    {"do": "screenshot", "file": "$here/main.png"},
    {"do": "theme", "name": "light"},
    {"do": "screenshot", "file": "$here/light.png"},
    {"do": "theme", "name": "dark"},

    {"do": "panel", "name": "colors"},
    {"do": "action", "name": "basis.shared"},
    {"do": "action", "name": "pane.next-components"},
    {"do": "wait-idle"},
    {"do": "screenshot", "file": "$here/pca.png"},
    {"do": "action", "name": "pane.previous-components"},

    {"do": "key", "key": "W"},
    {"do": "key", "key": "M"},
    {"do": "screenshot", "file": "$here/wipe.png"},
    {"do": "key", "key": "W"},
    {"do": "key", "key": "M"},
    {"do": "action", "name": "basis.own"},
    {"do": "wait-idle"},

    {"do": "panel", "name": "inspector"},
    {"do": "click", "pane": 1, "at": [250, 110], "modifiers": "Shift"},
    {"do": "key", "key": "5"},
    {"do": "key", "key": "O"},
    {"do": "key", "key": "S"},
    {"do": "key", "key": "M"},
    {"do": "wait-idle"},
    {"do": "screenshot", "file": "$here/attention.png"},
    {"do": "key", "key": "M"},
    {"do": "key", "key": "O"},
    {"do": "action", "name": "file.export"},
    {"do": "wait", "seconds": 3},
    {"do": "screenshot", "file": "$here/export.png"},
    {"do": "quit"}
]
JSON
# The same pixels everywhere: software OpenGL, no scaling, no layout of one's own.
env QT_QPA_PLATFORM=xcb QT_SCALE_FACTOR=1 LC_ALL=C.UTF-8 LIBGL_ALWAYS_SOFTWARE=1 \
    MESA_GL_VERSION_OVERRIDE=3.3 MESA_GLSL_VERSION_OVERRIDE=330 \
    xvfb-run -a -s "-screen 0 1440x900x24" \
    "$program" open "$photo" --settings "$work/settings.ini" --script "$work/steps.json"
