// SPDX-License-Identifier: Apache-2.0
// The fonts of a figure, and text that always fits its place.
#pragma once

#include <QFont>
#include <QString>
#include <QtGlobal>

#include <string>
#include <vector>

namespace loftscope {

enum class Weight { Regular, Bold };

/// The embedded font, `pixels` high at 1x; laid out without hinting, so that a figure of any scale
/// breaks its lines at the same places.
QFont figureFont(int pixels, Weight weight = Weight::Regular);

struct FittedText {
    QString text;
    QFont font;
};

/// `text` on one line of at most `width`: set up to a fifth smaller, and shortened by an ellipsis
/// if that is not enough.
FittedText fittedText(const std::string& text, int pixels, Weight weight, qreal width);

/// `text` broken at spaces into lines of at most `width`.
std::vector<QString> wrappedText(const std::string& text, int pixels, qreal width);

} // namespace loftscope
