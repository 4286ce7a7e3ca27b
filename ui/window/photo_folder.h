// SPDX-License-Identifier: Apache-2.0
// The photos of a folder, in the order in which people count: 2 before 10.
#pragma once

#include <QString>
#include <QStringList>

namespace loftscope {

/// Endings of files that can be opened as photos, lower case, without the dot.
const QStringList& photoEndings();
/// Endings of videos.
const QStringList& clipEndings();
/// Endings of checkpoints.
const QStringList& checkpointEndings();

/// Full paths of the photos directly in `folder`; hidden files are left out.
QStringList photosIn(const QString& folder);

/// The photo `step` places after `path` among `photos`; stops at both ends. A photo that is not
/// among them counts as standing before the first. Empty if there are none.
QString photoBeside(const QStringList& photos, const QString& path, int step);

} // namespace loftscope
