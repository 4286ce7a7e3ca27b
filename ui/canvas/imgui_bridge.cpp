// SPDX-License-Identifier: Apache-2.0
#include "ui/canvas/imgui_bridge.h"

#include <QClipboard>
#include <QFile>
#include <QGuiApplication>
#include <QKeyEvent>
#include <backends/imgui_impl_opengl3.h>
#include <imgui.h>
#include <imgui_freetype.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <chrono>
#include <set>
#include <utility>

// Outside the namespace, as Qt asks: a static library's resources are dropped by the linker unless
// something names them.
static void registerFonts() {
    Q_INIT_RESOURCE(loftscope_fonts);
}

namespace loftscope {
namespace {

constexpr double textSize = 13;
constexpr double smallTextSize = 11;

int buttonIndex(Qt::MouseButton button) {
    switch (button) {
    case Qt::LeftButton:
        return ImGuiMouseButton_Left;
    case Qt::RightButton:
        return ImGuiMouseButton_Right;
    case Qt::MiddleButton:
        return ImGuiMouseButton_Middle;
    default:
        return -1;
    }
}

/// ImGui's own small key numbers; -1 for keys that it does not use.
int keyIndex(int qtKey) {
    static constexpr std::array<std::pair<int, ImGuiKey_>, 24> keys{
        {{Qt::Key_Tab, ImGuiKey_Tab},
         {Qt::Key_Backtab, ImGuiKey_Tab},
         {Qt::Key_Left, ImGuiKey_LeftArrow},
         {Qt::Key_Right, ImGuiKey_RightArrow},
         {Qt::Key_Up, ImGuiKey_UpArrow},
         {Qt::Key_Down, ImGuiKey_DownArrow},
         {Qt::Key_PageUp, ImGuiKey_PageUp},
         {Qt::Key_PageDown, ImGuiKey_PageDown},
         {Qt::Key_Home, ImGuiKey_Home},
         {Qt::Key_End, ImGuiKey_End},
         {Qt::Key_Insert, ImGuiKey_Insert},
         {Qt::Key_Delete, ImGuiKey_Delete},
         {Qt::Key_Backspace, ImGuiKey_Backspace},
         {Qt::Key_Space, ImGuiKey_Space},
         {Qt::Key_Return, ImGuiKey_Enter},
         {Qt::Key_Enter, ImGuiKey_KeyPadEnter},
         {Qt::Key_Escape, ImGuiKey_Escape},
         {Qt::Key_A, ImGuiKey_A},
         {Qt::Key_C, ImGuiKey_C},
         {Qt::Key_V, ImGuiKey_V},
         {Qt::Key_X, ImGuiKey_X},
         {Qt::Key_Y, ImGuiKey_Y},
         {Qt::Key_Z, ImGuiKey_Z},
         {Qt::Key_unknown, ImGuiKey_COUNT}}};
    for (const auto& [qt, imgui] : keys) {
        if (qt == qtKey) return imgui;
    }
    return -1;
}

const char* clipboardText(void* /*userData*/) {
    static QByteArray text;
    text = QGuiApplication::clipboard()->text().toUtf8();
    return text.constData();
}

void setClipboardText(void* /*userData*/, const char* text) {
    QGuiApplication::clipboard()->setText(QString::fromUtf8(text));
}

long long nowNs() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

} // namespace

ImGuiBridge::ImGuiBridge() {
    registerFonts();
    context_ = ImGui::CreateContext();
    ImGui::SetCurrentContext(context_);
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.LogFilename = nullptr;
    io.BackendPlatformName = "Qt";
    io.GetClipboardTextFn = clipboardText;
    io.SetClipboardTextFn = setClipboardText;
    for (int key = 0; key < ImGuiKey_COUNT; ++key)
        io.KeyMap[key] = key;
    ImGuiStyle& style = ImGui::GetStyle();
    style.WindowRounding = 4;
    style.FrameRounding = 3;
    style.WindowBorderSize = 0;
    style.AntiAliasedLinesUseTex = true;
}

ImGuiBridge::~ImGuiBridge() {
    ImGui::DestroyContext(context_);
}

void ImGuiBridge::createGl() {
    if (hasGl_) return;
    ImGui::SetCurrentContext(context_);
    hasGl_ = ImGui_ImplOpenGL3_Init("#version 330 core");
    fontRatio_ = 0;
}

void ImGuiBridge::releaseGl() {
    if (!hasGl_) return;
    ImGui::SetCurrentContext(context_);
    ImGui_ImplOpenGL3_Shutdown();
    hasGl_ = false;
}

void ImGuiBridge::mouseMoved(QPointF position) {
    // A move right after a move replaces it: only the newest position counts.
    if (!queue_.empty() && queue_.back().kind == Kind::Position) queue_.pop_back();
    queue_.push_back({Kind::Position, 0, false, position, {}, {}});
}

void ImGuiBridge::mouseLeft() {
    mouseMoved({-FLT_MAX, -FLT_MAX});
}

void ImGuiBridge::mouseButton(Qt::MouseButton button, bool down) {
    if (buttonIndex(button) >= 0) {
        queue_.push_back({Kind::Button, buttonIndex(button), down, {}, {}, {}});
    }
}

void ImGuiBridge::wheel(QPointF notches) {
    queue_.push_back({Kind::Wheel, 0, false, notches, {}, {}});
}

void ImGuiBridge::key(const QKeyEvent& event, bool down) {
    queue_.push_back({Kind::Key, keyIndex(event.key()), down, {}, {}, event.modifiers()});
    const QString text = event.text();
    if (down && !text.isEmpty() && text.front().isPrint()) {
        queue_.push_back({Kind::Text, 0, true, {}, text.toStdString(), {}});
    }
}

void ImGuiBridge::focus(bool focused) {
    queue_.push_back({Kind::Focus, 0, focused, {}, {}, {}});
}

void ImGuiBridge::replayInput() {
    ImGuiIO& io = ImGui::GetIO();
    std::set<std::pair<Kind, int>> changed;
    bool buttonChanged = false;
    while (!queue_.empty()) {
        const Event& event = queue_.front();
        // The second transition of a key, or a move after a click, belongs to the next frame.
        const bool transition = event.kind == Kind::Key || event.kind == Kind::Button;
        if (transition && !changed.insert({event.kind, event.code}).second) break;
        if (event.kind == Kind::Position && buttonChanged) break;
        switch (event.kind) {
        case Kind::Position:
            io.MousePos = {static_cast<float>(event.point.x()),
                           static_cast<float>(event.point.y())};
            break;
        case Kind::Button:
            io.MouseDown[event.code] = event.down;
            buttonChanged = true;
            break;
        case Kind::Wheel:
            io.MouseWheelH += static_cast<float>(event.point.x());
            io.MouseWheel += static_cast<float>(event.point.y());
            break;
        case Kind::Key:
            if (event.code >= 0) io.KeysDown[event.code] = event.down;
            io.KeyCtrl = event.modifiers.testFlag(Qt::ControlModifier);
            io.KeyShift = event.modifiers.testFlag(Qt::ShiftModifier);
            io.KeyAlt = event.modifiers.testFlag(Qt::AltModifier);
            io.KeySuper = event.modifiers.testFlag(Qt::MetaModifier);
            break;
        case Kind::Text:
            io.AddInputCharactersUTF8(event.text.c_str());
            break;
        case Kind::Focus:
            io.AddFocusEvent(event.down);
            if (!event.down) std::fill(std::begin(io.KeysDown), std::end(io.KeysDown), false);
            break;
        }
        queue_.pop_front();
    }
}

void ImGuiBridge::buildFonts(double devicePixelRatio) {
    QFile file(":/fonts/DejaVuSans.ttf");
    ImGuiIO& io = ImGui::GetIO();
    io.Fonts->Clear();
    // stb_truetype does not hint: small text comes out blurred.
    io.Fonts->FontBuilderIO = ImGuiFreeType::GetBuilderForFreeType();
    io.Fonts->FontBuilderFlags = ImGuiFreeTypeBuilderFlags_LightHinting;
    // Latin, Greek, Cyrillic, punctuation, superscripts, arrows and the few mathematical signs
    // used.
    static constexpr std::array<ImWchar, 15> ranges{0x0020, 0x024F, 0x0370, 0x03FF, 0x0400,
                                                    0x045F, 0x2010, 0x2030, 0x2070, 0x2099,
                                                    0x2190, 0x2193, 0x2212, 0x2265, 0};
    if (file.open(QIODevice::ReadOnly)) {
        const QByteArray data = file.readAll();
        const auto add = [&](double size) {
            // The atlas frees what it is given.
            void* copy = ImGui::MemAlloc(static_cast<std::size_t>(data.size()));
            std::copy(data.begin(), data.end(), static_cast<char*>(copy));
            return io.Fonts->AddFontFromMemoryTTF(copy, static_cast<int>(data.size()),
                                                  static_cast<float>(size * devicePixelRatio),
                                                  nullptr, ranges.data());
        };
        text_ = add(textSize);
        small_ = add(smallTextSize);
    } else {
        text_ = small_ = io.Fonts->AddFontDefault();
    }
    io.FontGlobalScale = static_cast<float>(1 / devicePixelRatio);
    ImGui_ImplOpenGL3_DestroyFontsTexture();
    ImGui_ImplOpenGL3_CreateFontsTexture();
    fontRatio_ = devicePixelRatio;
}

void ImGuiBridge::beginFrame(QSizeF size, double devicePixelRatio) {
    ImGui::SetCurrentContext(context_);
    ImGuiIO& io = ImGui::GetIO();
    io.DisplaySize = {static_cast<float>(size.width()), static_cast<float>(size.height())};
    io.DisplayFramebufferScale = {static_cast<float>(devicePixelRatio),
                                  static_cast<float>(devicePixelRatio)};
    const long long now = nowNs();
    const double seconds = static_cast<double>(now - lastFrameNs_) * 1e-9;
    io.DeltaTime = static_cast<float>(std::clamp(seconds, 1e-4, 0.1));
    lastFrameNs_ = now;
    ImGui_ImplOpenGL3_NewFrame();
    if (fontRatio_ != devicePixelRatio) buildFonts(devicePixelRatio);
    replayInput();
    ImGui::NewFrame();
}

void ImGuiBridge::endFrame() {
    ImGui::Render();
    ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
}

} // namespace loftscope
