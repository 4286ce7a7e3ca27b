# SPDX-License-Identifier: Apache-2.0
"""The layering check must find what it is there for: each case is a small tree with or without a violation."""
import pathlib
import tempfile
import unittest

import check_layers

CLEAN = {
    "core/base/error.h": "#include <string>",
    "core/image/image.h": '#include "core/base/error.h"\n#include <opencv2/core.hpp>',
    "core/backbone/vit_spec.h": '#include "core/base/error.h"',
    "core/weights/recognise.h": '#include "core/backbone/vit_spec.h"',
    "core/backbone/backbone.h": '#include "core/image/image.h"\n#include <ATen/core/Tensor.h>',
    "core/upsample/field.h": '#include "core/backbone/backbone.h"',
    "ui/render/texture.h": '#include "core/image/image.h"\n#include <QOpenGLFunctions_3_3_Core>',
    "ui/canvas.h": '#include "ui/render/texture.h"\n#include <QOpenGLWidget>',
    "ui/canvas.cpp": '#include "ui/canvas.h"\n#include "core/upsample/field.h"',
    "app/main.cpp": '#include "ui/canvas.h"\n#include <QApplication>',
    "tests/image/image_test.cpp": '#include "core/image/image.h"',
}

# What is added to the clean tree, and a part of the one complaint that must follow.
VIOLATIONS = {
    "core includes ui": ({"core/base/a.h": '#include "ui/canvas.h"'}, "core must not include ui/canvas.h"),
    "core includes ui/render": ({"core/image/a.cpp": '#include "ui/render/texture.h"'}, "core must not include"),
    "core includes app": ({"core/base/a.cpp": '#include "app/a.h"', "app/a.h": ""}, "core must not include app/a.h"),
    "core includes Qt": ({"core/image/a.cpp": "#include <QImage>"}, "neither Qt nor OpenGL"),
    "core includes a module of Qt": ({"core/image/a.cpp": "#include <QtGui/QImage>"}, "neither Qt nor OpenGL"),
    "core includes OpenGL": ({"core/image/a.cpp": "  #  include <GL/gl.h>"}, "neither Qt nor OpenGL"),
    "base includes image": ({"core/base/a.h": '#include "core/image/image.h"'}, "core/base must not include"),
    "image includes weights": (
        {"core/image/a.h": '#include "core/weights/a.h"', "core/weights/a.h": ""},
        "core/image must not include",
    ),
    "backbone includes upsample": (
        {"core/backbone/a.cpp": '#include "core/upsample/field.h"'},
        "core/backbone must not include",
    ),
    "weights includes backbone": (
        {"core/weights/a.h": '#include "core/backbone/backbone.h"'},
        "core/weights must not include",
    ),
    "a description includes more than base": (
        {"core/backbone/vit_spec.h": '#include "core/image/image.h"'},
        "core/descriptions must not include core/image/image.h",
    ),
    "a relative path": ({"core/base/a.h": '#include "../image/image.h"'}, None),
    "a folder of core that is not in the order": (
        {"core/novel/a.h": '#include "core/base/error.h"'},
        "core/novel has no place",
    ),
    "ui/render includes ui": ({"ui/render/a.h": '#include "ui/canvas.h"'}, "ui/render must not include ui/canvas.h"),
    "ui/render includes a widget": ({"ui/render/a.cpp": "#include <QOpenGLWidget>"}, "the widget QOpenGLWidget"),
    "ui includes app": ({"ui/a.cpp": '#include "app/a.h"', "app/a.h": ""}, "ui must not include app/a.h"),
    "tests include app": ({"tests/a.cpp": '#include "app/a.h"', "app/a.h": ""}, "tests must not include app/a.h"),
    "a ui header includes LibTorch": ({"ui/a.h": "#include <c10/util/Exception.h>"}, "must not bring in LibTorch"),
    "a ui header includes LibTorch by a detour": (
        {"ui/a.h": '#include "core/upsample/field.h"'},
        "core/upsample/field.h -> core/backbone/backbone.h -> ATen/core/Tensor.h",
    ),
    "a header that is not there": ({"core/image/a.h": '#include "core/base/gone.h"'}, "does not exist"),
}


def complaints(tree):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in tree.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text + "\n", encoding="utf-8")
        return list(check_layers.violations(root))


class CheckLayers(unittest.TestCase):
    def test_clean_tree_passes(self):
        self.assertEqual(complaints(CLEAN), [])

    def test_each_violation_is_found_once(self):
        for name, (added, expected) in VIOLATIONS.items():
            with self.subTest(name):
                found = complaints(CLEAN | added)
                self.assertEqual(len(found), 1, found)
                self.assertIn(expected or "must not include", found[0])


if __name__ == "__main__":
    unittest.main()
