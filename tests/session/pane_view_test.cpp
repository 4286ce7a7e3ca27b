// SPDX-License-Identifier: Apache-2.0
#include "core/figure/pane_view.h"

#include <gmock/gmock.h>

namespace loftscope {
namespace {

using Kind = PaneView::Kind;
using testing::HasSubstr;

std::string errorOf(const std::string& text) {
    const auto pane = parsePane(text);
    EXPECT_FALSE(pane) << text;
    return pane ? "" : pane.error().message;
}

TEST(PaneView, IsTheSameAfterWritingAndReading) {
    for (const char* text : {"image",
                             "lowres",
                             "loftup",
                             "attention",
                             "attention:loftup@120,80",
                             "attention@#2",
                             "self-attention:cls",
                             "self-attention@3,4;block=2;head=1",
                             "similarity:lowres@1,2",
                             "text",
                             "text:loftup;query=a dog's nose?",
                             "text;query=50%25 sky%2C sea%3B a%40b;map=turbo",
                             "norm",
                             "norm:bilinear;map=magma;reversed",
                             "difference:bilinear:loftup",
                             "difference;minuend=3;subtrahend=4",
                             "loftup;components=3+4+5;flip=0+4;whiten",
                             "loftup;component=2;range=-1.5..2.25",
                             "loftup;range=-1..1+-2..2+0..0.5",
                             "loftup;sigmoid;mask=0:below:-0.25;basis=file:/a b/c.safetensors",
                             "loftup;percentiles=2.5+97.5;opacity=0.6;smooth",
                             "attention;block=mean;by-value"}) {
        const auto pane = parsePane(text);
        ASSERT_TRUE(pane) << pane.error().message;
        EXPECT_EQ(textOf(*pane), text);
        EXPECT_EQ(*parsePane(textOf(*pane)), *pane);
    }
}

TEST(PaneView, KeepsTextsWithSeparators) {
    PaneView pane = paneOf(Kind::Text, "lowres");
    pane.text = "trees, and; 100 % sky = caf\u00e9@night";
    const auto panes = parsePanes("image," + textOf(pane) + ",lowres");
    ASSERT_TRUE(panes) << panes.error().message;
    ASSERT_EQ(panes->size(), 3U);
    EXPECT_EQ((*panes)[1], pane);
    EXPECT_THAT(errorOf("text;query=%2"), HasSubstr("no option"));
    EXPECT_THAT(errorOf("loftup;query=a dog"), HasSubstr("no option"));
}

TEST(PaneView, WritesWhatDiffersFromTheUsualColours) {
    PaneView pane = paneOf(Kind::Similarity, "loftup");
    EXPECT_EQ(textOf(pane), "similarity:loftup");
    pane.map = ColorMap::Turbo;
    pane.lowPercent = 5;
    pane.pixel = Pixel{7, 8};
    EXPECT_EQ(textOf(pane), "similarity:loftup@7,8;percentiles=5+100;map=turbo");
    EXPECT_EQ(*parsePane(textOf(pane)), pane);
}

TEST(PaneView, NamesWhatIsWrong) {
    EXPECT_THAT(errorOf("image@1,2"), HasSubstr("takes no pixel"));
    EXPECT_THAT(errorOf("attention@1"), HasSubstr("write @x,y"));
    EXPECT_THAT(errorOf("loftup;componets=1+2+3"), HasSubstr("no option 'componets=1+2+3'"));
    EXPECT_THAT(errorOf("loftup;components=1+2"), HasSubstr("components=1+2"));
    EXPECT_THAT(errorOf("loftup;range=0..1"), HasSubstr("needs 3"));
    EXPECT_THAT(errorOf("loftup;opacity=nan"), HasSubstr("opacity=nan"));
    EXPECT_THAT(errorOf("loftup;percentiles=99+1"), HasSubstr("percentiles"));
    EXPECT_THAT(errorOf("difference:bilinear"), HasSubstr("needs two methods"));
    EXPECT_THAT(errorOf("image:loftup"), HasSubstr("too much"));
    EXPECT_THAT(errorOf(""), HasSubstr("no name"));
}

TEST(PaneView, ListsKeepPixelsTogether) {
    const auto panes = parsePanes("image,attention@10,20;head=1,lowres,similarity@#1,loftup");
    ASSERT_TRUE(panes) << panes.error().message;
    std::vector<std::string> texts;
    for (const PaneView& pane : *panes)
        texts.push_back(textOf(pane));
    EXPECT_THAT(texts, testing::ElementsAre("image", "attention@10,20;head=1", "lowres",
                                            "similarity@#1", "loftup"));
    EXPECT_FALSE(parsePanes("image,,lowres"));
}

} // namespace
} // namespace loftscope
