#!/usr/bin/env bash
# build_and_train.sh CMAKE SOURCE BUILD LIBTORCH LOFTSCOPE: builds loftscope-train alone, trains two steps with it and lets
# LOFTSCOPE take the third.
set -euo pipefail
cmake=$1 source=$2 build=$3 libtorch=$4 loftscope=$5

"$cmake" -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLOFTSCOPE_COMPUTE_ONLY=ON "-DLIBTORCH_ROOT=$libtorch"
"$cmake" --build "$build" --target loftscope-train
trainer=$build/bin/loftscope-train
if ldd "$trainer" | grep -E 'libQt6|libopencv|libzip|libcurl|libicu'; then
    echo "loftscope-train needs more than LibTorch" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/photos"
cp "$source"/docs/screenshots/*.png "$work/photos"
"$loftscope" train --quiet pack --data "$work/photos" --out "$work/photos.safetensors" --short-side 64
arguments=(upsampler --backbone "$source/resources/models/loftscope_vit16.safetensors" --data "$work/photos.safetensors"
    --out "$work/run" --sizes 32 --accumulate 1 --jitters 1)
"$trainer" --quiet --threads 1 "${arguments[@]}" --steps 2
"$loftscope" train --quiet --threads 1 "${arguments[@]}" --steps 3
lines=$(wc -l <"$work/run/log.jsonl")
if [[ $lines != 3 || ! -s $work/run/loftup.safetensors ]]; then
    echo "expected three steps and their weights, found $lines steps" >&2
    exit 1
fi
