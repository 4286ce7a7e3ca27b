// SPDX-License-Identifier: Apache-2.0
// The dialog of known models, against a server on this computer.
#include "tests/store/test_server.h"
#include "tests/window/window_fixture.h"
#include "ui/window/models_dialog.h"

#include <QCheckBox>
#include <QDir>
#include <QLineEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QSignalSpy>
#include <QTreeWidget>

namespace loftscope {
namespace {

using test::Exchange;
using test::TestServer;
using ::testing::HasSubstr;

/// NAF's file is small and its SHA-256 not published, so that any NAF may stand for it.
std::string nafFile() {
    QFile file(LOFTSCOPE_TEST_DATA "/golden/naf_tiny.weights.safetensors");
    EXPECT_TRUE(file.open(QIODevice::ReadOnly));
    return file.readAll().toStdString();
}

struct ModelsDialogTest : ::testing::Test {
    QTemporaryDir folder;
    std::unique_ptr<ModelsDialog> dialog;

    ModelPlaces places() const {
        ModelPlaces places;
        places.own = folder.path().toStdString();
        places.folders.push_back({"your models", places.own});
        return places;
    }
    void show(const TestServer& server) {
        dialog = std::make_unique<ModelsDialog>(
            [this] { return places(); },
            [address = server.url()](const KnownModel&) { return address; });
        dialog->show();
    }
    QString said() const { return dialog->text(); }
    bool exists(const QString& name) const { return QFile::exists(folder.filePath(name)); }
};

TEST_F(ModelsDialogTest, FetchesAModelAndOffersIt) {
    const TestServer server(
        [](const Exchange& exchange) { exchange.sendFile(nafFile(), "\"1\""); });
    show(server);
    EXPECT_FALSE(dialog->fetchButton()->isEnabled());
    ASSERT_TRUE(dialog->choose("naf"));
    EXPECT_THAT(said().toStdString(), HasSubstr("Licence: Apache-2.0"));
    EXPECT_FALSE(dialog->useButton()->isEnabled());
    QSignalSpy chosen(dialog.get(), &ModelsDialog::chosen);
    dialog->fetchButton()->click();
    EXPECT_FALSE(dialog->fetchButton()->isEnabled());
    ASSERT_TRUE(QTest::qWaitFor([&] { return chosen.count() == 1; }, 20000))
        << said().toStdString();
    EXPECT_EQ(chosen[0][0].toString(), folder.filePath("naf_release.pth"));
    EXPECT_TRUE(exists("naf_release.pth"));
    EXPECT_FALSE(dialog->progress()->isVisible());
    // It is listed as here, and can be opened again.
    EXPECT_TRUE(dialog->useButton()->isEnabled());
    EXPECT_EQ(dialog->list()->currentItem()->text(4), "your models");
    dialog->useButton()->click();
    EXPECT_EQ(chosen.count(), 2);
}

TEST_F(ModelsDialogTest, StopsAndGoesOnWhereItStopped) {
    const std::string file = nafFile();
    const TestServer server([&](const Exchange& exchange) {
        if (exchange.number > 0) return exchange.sendFile(file, "\"1\"");
        exchange.send("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: " +
                      std::to_string(file.size()) + "\r\n\r\n" + file.substr(0, 40000));
        exchange.waitForEnd();
    });
    show(server);
    ASSERT_TRUE(dialog->choose("naf"));
    dialog->fetchButton()->click();
    ASSERT_TRUE(QTest::qWaitFor([&] { return dialog->progress()->value() > 300; }, 20000));
    EXPECT_TRUE(dialog->cancelButton()->isEnabled());
    dialog->cancelButton()->click();
    ASSERT_TRUE(QTest::qWaitFor([&] { return dialog->fetchButton()->isEnabled(); }, 20000));
    EXPECT_FALSE(exists("naf_release.pth"));
    EXPECT_THAT(said().toStdString(), HasSubstr("Stopped"));
    EXPECT_EQ(dialog->fetchButton()->text(), "&Go on");
    QSignalSpy chosen(dialog.get(), &ModelsDialog::chosen);
    dialog->fetchButton()->click();
    ASSERT_TRUE(QTest::qWaitFor([&] { return chosen.count() == 1; }, 20000));
    EXPECT_THAT(server.requests().back(), HasSubstr("Range: bytes=40000-"));
}

TEST_F(ModelsDialogTest, WhatIsNotTheModelIsASentenceAndNoFile) {
    const TestServer server(
        [](const Exchange& exchange) { exchange.sendFile("<html>Log in first</html>", ""); });
    show(server);
    ASSERT_TRUE(dialog->choose("naf"));
    QSignalSpy chosen(dialog.get(), &ModelsDialog::chosen);
    dialog->fetchButton()->click();
    ASSERT_TRUE(QTest::qWaitFor([&] { return dialog->fetchButton()->isEnabled(); }, 20000));
    EXPECT_EQ(chosen.count(), 0);
    EXPECT_FALSE(exists("naf_release.pth"));
    EXPECT_THAT(said().toStdString(), testing::Not(HasSubstr("Fetching")));
}

TEST_F(ModelsDialogTest, ALicenceThatRestrictsIsAcceptedFirst) {
    const TestServer server([](const Exchange& exchange) { exchange.sendFile("", ""); });
    show(server);
    ASSERT_TRUE(dialog->choose("radio_v2.5-b"));
    EXPECT_THAT(said().toStdString(), HasSubstr("no commercial use"));
    EXPECT_TRUE(dialog->licence()->isVisible());
    EXPECT_FALSE(dialog->fetchButton()->isEnabled());
    dialog->licence()->click();
    EXPECT_TRUE(dialog->fetchButton()->isEnabled());
    // Accepting one licence says nothing of another.
    ASSERT_TRUE(dialog->choose("radio_v2.5-l"));
    EXPECT_FALSE(dialog->fetchButton()->isEnabled());
    // Where the publisher asks for a name the file cannot be fetched from here.
    ASSERT_TRUE(dialog->choose("dinov3_vits16"));
    EXPECT_FALSE(dialog->fetchButton()->isEnabled());
    EXPECT_THAT(said().toStdString(), HasSubstr("asks for a name first"));
    EXPECT_TRUE(server.requests().empty());
}

TEST_F(ModelsDialogTest, TheSearchHidesWhatDoesNotFit) {
    const TestServer server([](const Exchange&) {});
    show(server);
    dialog->filter()->setText("upsampler dinov2 loftup");
    int shown = 0;
    for (int group = 0; group < dialog->list()->topLevelItemCount(); ++group) {
        const QTreeWidgetItem* heading = dialog->list()->topLevelItem(group);
        for (int i = 0; i < heading->childCount(); ++i)
            shown += heading->child(i)->isHidden() ? 0 : 1;
    }
    EXPECT_EQ(shown, 4);
}

struct ModelsWindowTest : WindowFixture {};

TEST_F(ModelsWindowTest, AModelThatIsChosenIsUsed) {
    open(madeUpPhoto("photo.png"));
    command("file.models")->trigger();
    auto* dialog = window->findChild<ModelsDialog*>("modelsDialog");
    ASSERT_NE(dialog, nullptr);
    EXPECT_TRUE(dialog->isVisible());
    ASSERT_TRUE(dialog->choose("loftscope_vit16_loftup"));
    ASSERT_TRUE(dialog->useButton()->isEnabled());
    dialog->useButton()->click();
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_THAT(window->workspace().upsamplerName().toStdString(), HasSubstr("LoftUp"));
}

} // namespace
} // namespace loftscope
