#!/usr/bin/env bash
# configure_and_train.sh CMAKE SOURCE LIBTORCH TRAINER LOFTSCOPE: the preset for machines with LibTorch alone can be
# configured and makes the same trainer; TRAINER takes two steps and LOFTSCOPE the third.
set -euo pipefail
cmake=$1 source=$2 libtorch=$3 trainer=$4 loftscope=$5

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cmake" -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLOFTSCOPE_COMPUTE_ONLY=ON "-DLIBTORCH_ROOT=$libtorch"
steps=$("$cmake" --build "$work/build" --target loftscope-train -- -n)
if [[ $steps != *bin/loftscope-train* || $steps == *loftscope_core.dir* ]]; then
    printf '%s\n' "$steps" >&2
    echo "the preset compute does not make loftscope-train alone" >&2
    exit 1
fi
if ldd "$trainer" | grep -E 'libQt6|libopencv|libzip|libcurl|libicu'; then
    echo "loftscope-train needs more than LibTorch" >&2
    exit 1
fi

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
