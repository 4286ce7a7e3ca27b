// SPDX-License-Identifier: Apache-2.0
// Paints figures, headless: one routine for pixels, PDF and SVG.
#pragma once

#include "core/base/error.h"
#include "core/figure/figure_spec.h"

#include <filesystem>

namespace loftscope {

/// The figure as pixels, at `spec.scale`. Errors: InvalidArgument (see layOut).
/// Makes a QGuiApplication if there is none: call the first time on the main thread.
Result<Image> paintFigure(const FigureSpec& spec);

/// Writes .pdf and .svg (text and lines as such, pictures as pixels at `spec.scale`, lossless),
/// .png (300 dots per inch; title and notes as text metadata), or any other ending that
/// `writeImage` knows. Errors: Unsupported ending, WriteFailed, those of paintFigure.
Result<void> writeFigure(const FigureSpec& spec, const std::filesystem::path& path);

/// True for an ending that `writeFigure` knows.
bool namesFigure(const std::filesystem::path& path);

} // namespace loftscope
