# SPDX-License-Identifier: Apache-2.0
"""Checks who includes whom: core <- ui/render <- ui <- app, and the order of the folders inside core.

Usage: check_layers.py ROOT. Prints one line per violation; the exit status is 1 if there is any.
"""
import os
import pathlib
import re
import sys

# Headers with nothing but the numbers of a model: they stand beside the model, but recognition, which is below it,
# speaks of them too. So they may include base alone.
DESCRIPTION = re.compile(r"core/(backbone|upsample)/\w+_spec\.h$")
# A folder of core may include itself and those of a lower rank.
CORE_RANKS = {
    "base": 0,
    "descriptions": 0.5,
    "image": 1,
    "kernel": 1,
    "store": 1,
    "weights": 1,
    "backbone": 2,
    "text": 2.5,
    "upsample": 3,
    "analysis": 4,
    "figure": 5,
    "pipeline": 6,
    "session": 6.5,
    "train": 7,
    "eval": 8,
    "bench": 7,
}
# What a project file of a layer may include of the project.
MAY_INCLUDE = {
    "core": {"core"},
    "ui/render": {"core", "ui/render"},
    "ui": {"core", "ui/render", "ui"},
    "app": {"core", "ui/render", "ui", "app"},
    "tests": {"core", "ui/render", "ui", "tests"},
}
QT = re.compile(r"Q[A-Z]\w*(/.*)?$|Qt\w*/|q[a-z]\w*\.h$")
GL = re.compile(r"GL/|imgui|backends/imgui|glm/")
TORCH = re.compile(r"(torch|ATen|c10|caffe2)/")
# Drawing and OpenGL classes of QtGui and QtOpenGL are what ui/render is for; windows and widgets are not.
WIDGETS = re.compile(
    r"QtWidgets/|QtOpenGLWidgets/|Q\w*(Widget|Window|Dialog|Action|Menu|Layout|Button|Label|Application|Slider|Dock|Toolbar|ToolBar)\w*$"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of(path):
    """The layer of a path relative to the root, e.g. "ui/render"; None for what lies outside all layers."""
    parts = path.parts
    if parts[:2] == ("ui", "render"):
        return "ui/render"
    return parts[0] if parts[0] in MAY_INCLUDE else None


def folder_in_core(path):
    """The folder of a file of core that the order speaks of; None for files in core itself."""
    if DESCRIPTION.match(path.as_posix()):
        return "descriptions"
    return path.parts[1] if len(path.parts) > 2 else None


def includes_of(root):
    """{file: [(included name, file of the project or None)]} for every C++ file, as paths relative to the root."""
    files = {
        path.relative_to(root)
        for top in ("core", "ui", "app", "tests")
        for ending in ("*.h", "*.hpp", "*.cpp", "*.cu", "*.cuh", "*.inc")
        for path in (root / top).rglob(ending)
    }
    graph = {}
    for file in sorted(files):
        graph[file] = []
        for _, name in INCLUDE.findall((root / file).read_text(encoding="utf-8")):
            candidates = [pathlib.Path(name), pathlib.Path(os.path.normpath(file.parent / name))]
            target = next((candidate for candidate in candidates if candidate in files), None)
            graph[file].append((name, target))
    return graph


def torch_chain(graph, file, seen):
    """The way from a file to a LibTorch header, over headers of the project; None if there is none."""
    seen.add(file)
    for name, target in graph[file]:
        if TORCH.match(name):
            return [name]
        if target is not None and target not in seen:
            rest = torch_chain(graph, target, seen)
            if rest:
                return [str(target), *rest]
    return None


def violations(root):
    graph = includes_of(root)
    for file, included in graph.items():
        layer = layer_of(file)
        for name, target in included:
            if target is None and layer_of(pathlib.PurePath(name)) is not None:
                yield f"{file}: includes {name}, which does not exist"
            if target is not None:
                other = layer_of(target)
                if other not in MAY_INCLUDE[layer]:
                    yield f"{file}: {layer} must not include {name} of {other}"
                elif layer == "core" and folder_in_core(file) and folder_in_core(target):
                    here, there = folder_in_core(file), folder_in_core(target)
                    unknown = [folder for folder in (here, there) if folder not in CORE_RANKS]
                    if unknown:
                        yield f"{file}: core/{unknown[0]} has no place in the order of {pathlib.Path(__file__).name}"
                    elif here != there and CORE_RANKS[there] >= CORE_RANKS[here]:
                        yield f"{file}: core/{here} must not include {name} of core/{there}"
            elif layer == "core" and (QT.match(name) or GL.match(name)):
                yield f"{file}: core must include neither Qt nor OpenGL, but includes {name}"
            elif layer == "ui/render" and WIDGETS.match(name):
                yield f"{file}: ui/render must not include the widget {name}"
        if layer in ("ui", "ui/render") and file.suffix in (".h", ".hpp"):
            chain = torch_chain(graph, file, set())
            if chain:
                yield f"{file}: a header of {layer} must not bring in LibTorch, but includes {' -> '.join(chain)}"


def main():
    root = pathlib.Path(sys.argv[1])
    if not (root / "core").is_dir():
        sys.exit(f"check_layers.py: there is no folder core in '{root}'")
    found = list(violations(root))
    print("\n".join(found) if found else "layers: no violation")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
