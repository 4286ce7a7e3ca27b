// SPDX-License-Identifier: Apache-2.0
#include "ui/render/shader_program.h"

#include "ui/render/gl_functions.h"

#include <QFile>

// Outside the namespace, as Qt asks: a static library's resources are dropped by the linker unless
// something names them.
static void registerShaders() {
    Q_INIT_RESOURCE(loftscope_shaders);
}

namespace loftscope {
namespace {

QByteArray sourceOf(const QString& name) {
    QFile file(":/shaders/" + name);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

// The sources have no #version line: another GL can be served from the same files.
const QByteArray version = "#version 330 core\n";

} // namespace

ShaderProgram::ShaderProgram(const QString& vertex, const QStringList& fragments,
                             const QStringList& defines)
    : program_(std::make_unique<QOpenGLShaderProgram>()) {
    registerShaders();
    QByteArray fragment = version;
    for (const QString& name : defines)
        fragment += "#define " + name.toUtf8() + "\n";
    for (const QString& name : fragments)
        fragment += sourceOf(name);
    linked_ =
        program_->addShaderFromSourceCode(QOpenGLShader::Vertex, version + sourceOf(vertex)) &&
        program_->addShaderFromSourceCode(QOpenGLShader::Fragment, fragment) && program_->link();
}

void ShaderProgram::set(const char* name, const std::array<float, 3>& value) {
    program_->setUniformValue(name, value[0], value[1], value[2]);
}

void ShaderProgram::set(const char* name, const std::array<float, 4>& value) {
    program_->setUniformValue(name, value[0], value[1], value[2], value[3]);
}

void ShaderProgram::set(const char* name, const std::array<int, 3>& value) {
    glFunctions()->glUniform3i(program_->uniformLocation(name), value[0], value[1], value[2]);
}

} // namespace loftscope
