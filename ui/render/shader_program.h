// SPDX-License-Identifier: Apache-2.0
// A linked pair of shaders from the program's resources (:/shaders), with uniforms by name.
#pragma once

#include <QOpenGLShaderProgram>
#include <QStringList>

#include <array>
#include <memory>

namespace loftscope {

class ShaderProgram {
public:
    /// Compiles `vertex` and the concatenation of `fragments` for GLSL 3.30, with `defines` set for
    /// the fragments. Needs a current context; ok() tells whether it worked, log() why not.
    ShaderProgram(const QString& vertex, const QStringList& fragments,
                  const QStringList& defines = {});

    bool ok() const { return linked_; }
    QString log() const { return program_->log(); }
    void bind() { program_->bind(); }

    void set(const char* name, int value) { program_->setUniformValue(name, value); }
    void set(const char* name, float value) { program_->setUniformValue(name, value); }
    void set(const char* name, float x, float y) { program_->setUniformValue(name, x, y); }
    void set(const char* name, const std::array<float, 3>& value);
    void set(const char* name, const std::array<float, 4>& value);
    void set(const char* name, const std::array<int, 3>& value);

private:
    std::unique_ptr<QOpenGLShaderProgram> program_;
    bool linked_ = false;
};

} // namespace loftscope
