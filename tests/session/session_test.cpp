// SPDX-License-Identifier: Apache-2.0
#include "core/base/sha256.h"
#include "core/figure/figure_file.h"
#include "core/session/session.h"
#include "core/session/session_file.h"
#include "tests/weights/temp_folder.h"

#include <gmock/gmock.h>

namespace loftscope {
namespace {

namespace fs = std::filesystem;
using test::readBytes;
using test::TempFolder;
using test::writeBytes;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string hashOf(const fs::path& path) {
    return *sha256OfFile(path);
}

/// A session whose files are there.
Session savedIn(const TempFolder& folder) {
    fs::create_directories(folder / "photos");
    fs::create_directories(folder / "models");
    writeBytes(folder / "photos/a.png", "a photo");
    writeBytes(folder / "models/vit.pth", "a backbone");
    writeBytes(folder / "models/loftup.pth", "an upsampler");
    writeBytes(folder / "basis.safetensors", "a basis");
    Session session;
    session.photo = {folder / "photos/a.png", hashOf(folder / "photos/a.png"), ""};
    session.backbone = {folder / "models/vit.pth", hashOf(folder / "models/vit.pth"), "DINOv2"};
    session.upsamplers["loftup"] = {folder / "models/loftup.pth",
                                    hashOf(folder / "models/loftup.pth"), "LoftUp"};
    session.inputSize = 448;
    session.outputSize = 672;
    session.precision = "bf16";
    session.panes = {
        {*parsePane("image"), {}},
        {*parsePane("loftup;basis=file:" + (folder / "basis.safetensors").string()), {}},
        {*parsePane("attention:loftup@#3;head=1"), {12.5, 20.25, 3, false, Rect{1, 2, 30, 40}}}};
    session.selected = 2;
    session.reference = 3;
    session.maximised = 1;
    session.columns = 3;
    session.linked = false;
    session.colorsTogether = false;
    session.view = {5, 6, 0.1, false, std::nullopt};
    session.compare = Session::Compare::Wipe;
    session.wipeHorizontal = true;
    session.wipePosition = 0.25;
    session.picks = {{1, 10.5, 20.75, {1, 2, 3}, true}, {3, 30.5, 40.5, {4, 5, 6}, false}};
    session.activePick = 3;
    session.figure.title = "A figure";
    session.figure.look.widthMm = 82.5;
    return session;
}

TEST(Session, KeepsEverything) {
    const TempFolder folder;
    const Session session = savedIn(folder);
    ASSERT_TRUE(writeSession(folder / "s.loftscope", session));
    const auto read = readSession(folder / "s.loftscope");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, session);
    EXPECT_TRUE(missingParts(*read)->empty());
    // An empty one, too.
    ASSERT_TRUE(writeSession(folder / "empty.loftscope", Session()));
    EXPECT_EQ(*readSession(folder / "empty.loftscope"), Session());
}

TEST(Session, MovesToAnotherFolderWithItsFiles) {
    const TempFolder first;
    const TempFolder second;
    ASSERT_TRUE(writeSession(first / "s.loftscope", savedIn(first)));
    EXPECT_THAT(readBytes(first / "s.loftscope"), HasSubstr("\"path\": \"photos/a.png\""));
    fs::copy(first.path(), second / "moved", fs::copy_options::recursive);
    fs::remove_all(first / "photos");
    const auto read = readSession(second / "moved/s.loftscope");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->photo.path, second / "moved/photos/a.png");
    EXPECT_EQ(read->panes[1].view.basis, "file:" + (second / "moved/basis.safetensors").string());
    EXPECT_TRUE(missingParts(*read)->empty());
}

TEST(Session, FindsItsFilesWhenItIsMovedAlone) {
    const TempFolder first;
    const TempFolder second;
    ASSERT_TRUE(writeSession(first / "s.loftscope", savedIn(first)));
    fs::copy(first / "s.loftscope", second / "s.loftscope");
    const auto read = readSession(second / "s.loftscope");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->photo.path, first / "photos/a.png");
    EXPECT_EQ(read->backbone.path, first / "models/vit.pth");
    // A file of the same name beside it will do where the other is gone.
    fs::remove(first / "photos/a.png");
    writeBytes(second / "a.png", "a photo");
    EXPECT_EQ(readSession(second / "s.loftscope")->photo.path, second / "a.png");
}

TEST(Session, OpensWithAListOfWhatIsMissing) {
    const TempFolder folder;
    ASSERT_TRUE(writeSession(folder / "s.loftscope", savedIn(folder)));
    fs::remove(folder / "photos/a.png");
    fs::remove(folder / "basis.safetensors");
    writeBytes(folder / "models/loftup.pth", "another upsampler");
    const auto read = readSession(folder / "s.loftscope");
    ASSERT_TRUE(read) << read.error().message;
    const auto missing = missingParts(*read);
    ASSERT_TRUE(missing);
    ASSERT_EQ(missing->size(), 3U);
    EXPECT_EQ((*missing)[0].what, MissingPart::What::Photo);
    EXPECT_THAT((*missing)[0].sentence, AllOf(HasSubstr("a.png"), HasSubstr("is not there")));
    EXPECT_EQ((*missing)[1].method, "loftup");
    EXPECT_TRUE((*missing)[1].changed);
    EXPECT_THAT((*missing)[1].sentence, HasSubstr("has changed"));
    EXPECT_EQ((*missing)[2].what, MissingPart::What::Basis);
}

TEST(Session, WhatWaitsForAPickIsNotDrawn) {
    Session session;
    for (const char* pane : {"attention:loftup", "image", "norm:lowres", "norm:loftup", "text",
                             "difference;minuend=4;subtrahend=3",
                             "difference;minuend=1;subtrahend=3", "self-attention:cls"})
        session.panes.push_back({*parsePane(pane), {}});
    const auto shown = [&] {
        std::vector<std::string> texts;
        for (const PlannedPane& pane : figureOf(session).panes)
            texts.push_back(textOf(pane.view));
        return texts;
    };
    EXPECT_THAT(shown(),
                testing::ElementsAre("image", "norm:lowres", "norm:loftup",
                                     "difference;minuend=3;subtrahend=2", "self-attention:cls"));
    // The pane that is maximised is counted among those that are drawn.
    session.maximised = 4;
    EXPECT_EQ(figureOf(session).only, 3);
    session.maximised = 1;
    EXPECT_EQ(figureOf(session).only, 0) << "it has nothing to show yet";
    session.maximised = 0;
    session.picks = {{4, 1, 2, {1, 2, 3}, false}};
    session.activePick = 4;
    EXPECT_EQ(shown().size(), 7U) << "only the text is still missing";
}

TEST(Session, CarriesItsLockedBases) {
    const TempFolder folder;
    Session session = savedIn(folder);
    session.panes[1].view = *parsePane("loftup;basis=locked");
    ASSERT_TRUE(writeSession(folder / "plain.loftscope", session));
    EXPECT_THAT(readBytes(folder / "plain.loftscope"), HasSubstr("\"loftscope_session\": 1"))
        << "older programs can read what they know";
    session.lockedBases["loftup"] = {
        {0.1F, -2.5e-7F, 3}, {1, 0, 0, 0, 1.0F / 3, 0.5F}, {9, 4}, 13.5, "LoftUp 4 x 6"};
    session.lockedBases["lowres"] = {{1, 2}, {0.6F, 0.8F}, {7}, 8, ""};
    ASSERT_TRUE(writeSession(folder / "s.loftscope", session));
    EXPECT_THAT(readBytes(folder / "s.loftscope"), HasSubstr("\"loftscope_session\": 2"));
    const auto read = readSession(folder / "s.loftscope");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, session) << "to the last bit";
    EXPECT_THAT(renderCommand(session, "a.png", "s.loftscope"),
                HasSubstr("--locked-from s.loftscope"));
    // A basis whose numbers do not fit each other is named.
    session.lockedBases["loftup"].mean.pop_back();
    ASSERT_TRUE(writeSession(folder / "s.loftscope", session));
    const auto wrong = readSession(folder / "s.loftscope");
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().message, HasSubstr("the locked basis 'loftup'"));
}

TEST(Session, NotesThePhotosContentWhenItIsSaved) {
    const TempFolder folder;
    Session session = savedIn(folder);
    session.photo.sha256.clear();
    ASSERT_TRUE(writeSession(folder / "s.loftscope", session));
    EXPECT_EQ(readSession(folder / "s.loftscope")->photo.sha256, hashOf(folder / "photos/a.png"));
}

TEST(Session, NamesWhatIsWrong) {
    const TempFolder folder;
    const auto errorOf = [&](const std::string& fields) {
        const auto session = sessionFromText("{\"loftscope_session\": 1, " + fields + "}",
                                             folder.path(), "the test");
        EXPECT_FALSE(session) << fields;
        return session ? std::string() : session.error().message;
    };
    EXPECT_THAT(errorOf(R"("pane": [])"), HasSubstr("did you mean 'panes'?"));
    EXPECT_THAT(errorOf(R"("panes": ["image", "loftup;x"])"), HasSubstr("loftup;x"));
    EXPECT_THAT(errorOf(R"("panes": ["image"], "selected": 2)"), HasSubstr("1 to 1"));
    EXPECT_THAT(errorOf(R"("photo": {"path": 3})"), HasSubstr("'photo' of the test"));
    EXPECT_THAT(errorOf(R"("picks": [{"number": 1, "at": [1]}])"), HasSubstr("pick 1"));
    EXPECT_THAT(errorOf(R"("active_pick": 4)"), HasSubstr("active_pick"));
    EXPECT_THAT(errorOf(R"("figure": {"widht": 80})"), HasSubstr("did you mean 'width'?"));
    EXPECT_THAT(errorOf(R"("precision": "fp8")"), HasSubstr("fp32"));
    EXPECT_EQ(sessionFromText("[1]", folder.path(), "x").error().code, ErrorCode::Malformed);
    EXPECT_EQ(sessionFromText("{\"loftscope_session\": 9}", folder.path(), "x").error().code,
              ErrorCode::Unsupported);
}

TEST(Session, IsAFigureAndACommandLine) {
    const TempFolder folder;
    Session session = savedIn(folder);
    session.linked = true;
    session.maximised = 0;
    session.view.visible = Rect{10, 20, 100, 80};
    const FigurePlan plan = figureOf(session);
    ASSERT_EQ(plan.panes.size(), 3U);
    EXPECT_EQ(plan.panes[2].view.pick, 2) << "the pick numbered 3 is the second";
    EXPECT_EQ(plan.picks[1].at, (Pixel{30, 40}));
    EXPECT_EQ(plan.picks[1].label, "3");
    EXPECT_EQ(plan.crop, session.view.visible);
    EXPECT_EQ(plan.title, "A figure");

    session.photo.path = "/it's here/a.png";
    session.panes[1].view.basis = "own";
    // Labels and colours of picks, titles and the like have no options: the figure is told whole.
    const std::string whole = renderCommand(session, "out.pdf");
    EXPECT_THAT(whole, AllOf(HasSubstr("--figure '{\"loftscope_figure\":1"),
                             HasSubstr("\"label\":\"3\""), HasSubstr("\"width\":82.5")));
    EXPECT_THAT(whole, Not(HasSubstr("--panes")));
    const std::size_t begin = whole.find("'{") + 1;
    const auto read = readFigurePlan(whole.substr(begin, whole.find("}'") + 1 - begin), {"loftup"});
    ASSERT_TRUE(read) << read.error().message;
    session.panes[1].view.basis = "own";
    EXPECT_EQ(*read, figureOf(session));

    session.picks[1].number = 2;
    session.panes[2].view.pick = 2;
    session.activePick = 2;
    for (std::size_t i = 0; i < 2; ++i)
        session.picks[i].color = colorOfPick(i);
    const std::string command = renderCommand(session, "out.pdf");
    EXPECT_THAT(
        command,
        AllOf(HasSubstr("loftscope render '/it'\\''s here/a.png' -b "),
              HasSubstr("-u loftup=" + (folder / "models/loftup.pth").string()),
              HasSubstr("--size 448 --output-size 672 --precision bf16"),
              HasSubstr("--panes 'image,loftup,attention:loftup@#2;head=1'"),
              HasSubstr("--pick 10,20 --pick 30,40 --active-pick 2"),
              HasSubstr("--crop 10,20,100,80 --columns 3 --width-mm 82.5 --title 'A figure' "
                        "-o out.pdf")));
    EXPECT_THAT(command, Not(HasSubstr("\n")));
}

} // namespace
} // namespace loftscope
