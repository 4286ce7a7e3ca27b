// SPDX-License-Identifier: Apache-2.0
// Downloads from a server that cuts, stalls, lies about lengths and serves something else.
#include "core/base/sha256.h"
#include "core/store/download.h"
#include "tests/store/test_server.h"
#include "tests/weights/temp_folder.h"

#include <gmock/gmock.h>

#include <span>

namespace loftscope {
namespace {

using test::Exchange;
using test::readBytes;
using test::TempFolder;
using test::TestServer;
using test::writeBytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::string content(std::size_t size, int seed = 1) {
    std::string bytes(size, '\0');
    unsigned state = static_cast<unsigned>(seed);
    for (char& byte : bytes)
        byte = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
    return bytes;
}

std::string digest(const std::string& bytes) {
    return sha256(std::as_bytes(std::span(bytes)));
}

class Download : public testing::Test {
protected:
    DownloadRequest request(const std::string& url) const {
        DownloadRequest request;
        request.url = url;
        request.destination = folder / "model.pth";
        request.sha256 = digest(file);
        request.stalled = std::chrono::seconds(1);
        request.attempts = 3;
        request.pause = std::chrono::milliseconds(1);
        return request;
    }
    std::string fetched() const { return readBytes(folder / "model.pth"); }

    TempFolder folder;
    const std::string file = content(200000);
};

TEST_F(Download, AFileThatComesAtOnce) {
    const TestServer server([&](const Exchange& exchange) { exchange.sendFile(file, "\"v1\""); });
    const auto report = download(request(server.url()));
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(fetched(), file);
    EXPECT_EQ(report->bytes, 200000);
    EXPECT_EQ(report->resumed, 0);
    EXPECT_TRUE(report->checksumKnown);
    EXPECT_THAT(folder.names(), ElementsAre("model.pth"));
}

TEST_F(Download, ACutConnectionIsTakenUpWhereItEnded) {
    const TestServer server([&](const Exchange& exchange) {
        if (exchange.number > 0) return exchange.sendFile(file, "\"v1\"");
        exchange.send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 200000\r\n\r\n" +
                      file.substr(0, 70000));
    });
    const auto report = download(request(server.url()));
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(fetched(), file);
    ASSERT_EQ(server.requests().size(), 2U);
    EXPECT_THAT(server.requests()[1], HasSubstr("Range: bytes=70000-\r\n"));
    EXPECT_THAT(server.requests()[1], HasSubstr("If-Range: \"v1\"\r\n"));
}

TEST_F(Download, AStalledConnectionIsGivenUpAndTakenUpAgain) {
    const TestServer server([&](const Exchange& exchange) {
        if (exchange.number > 0) return exchange.sendFile(file, "\"v1\"");
        exchange.send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 200000\r\n\r\n" +
                      file.substr(0, 1000));
        exchange.waitForEnd();
    });
    const auto report = download(request(server.url()));
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(fetched(), file);
    EXPECT_THAT(server.requests()[1], HasSubstr("Range: bytes=1000-\r\n"));
}

TEST_F(Download, WithoutAVersionACutFileBeginsAnew) {
    const TestServer server([&](const Exchange& exchange) {
        if (exchange.number > 0) return exchange.sendFile(file, "");
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + content(70000, 9));
    });
    const auto report = download(request(server.url()));
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(fetched(), file);
    EXPECT_THAT(server.requests()[1], Not(HasSubstr("Range")));
}

TEST_F(Download, AServerThatPromisesMoreThanItHasIsGivenUp) {
    const TestServer server([&](const Exchange& exchange) {
        const std::size_t start = exchange.rangeStart();
        const std::string head = start == 0
                                     ? "HTTP/1.1 200 OK\r\n"
                                     : "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " +
                                           std::to_string(start) + "-299999/300000\r\n";
        exchange.send(head + "ETag: \"v1\"\r\nContent-Length: " + std::to_string(300000 - start) +
                      "\r\n\r\n" + file.substr(start));
    });
    const auto report = download(request(server.url()));
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().code, ErrorCode::Malformed);
    EXPECT_THAT(report.error().message, HasSubstr("the same command goes on"));
    EXPECT_EQ(server.requests().size(), 4U) << "one that brought bytes, three that did not";
    EXPECT_THAT(folder.names(), UnorderedElementsAre("model.pth.part", "model.pth.part.etag"));
}

TEST_F(Download, AServerThatPromisesLessIsFoundOutByTheChecksum) {
    const TestServer server([&](const Exchange& exchange) {
        exchange.send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 500\r\n\r\n" + file);
    });
    const auto report = download(request(server.url()));
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().code, ErrorCode::Malformed);
    EXPECT_THAT(report.error().message, HasSubstr("SHA-256"));
    EXPECT_THAT(folder.names(), IsEmpty());
}

TEST_F(Download, SomethingElseNeverGetsTheName) {
    const TestServer server([&](const Exchange& exchange) {
        exchange.send("HTTP/1.1 200 OK\r\n\r\n<html>Please sign in</html>");
    });
    writeBytes(folder / "model.pth", "an older file");
    DownloadRequest wanted = request(server.url());
    wanted.sha256.clear();
    wanted.check = [](const std::filesystem::path& path) -> Result<void> {
        EXPECT_THAT(readBytes(path), HasSubstr("sign in"));
        return fail(ErrorCode::Malformed, "It is no model.");
    };
    const auto report = download(wanted);
    ASSERT_FALSE(report.has_value());
    EXPECT_THAT(report.error().message, HasSubstr("It is no model."));
    EXPECT_EQ(fetched(), "an older file");
    EXPECT_THAT(folder.names(), ElementsAre("model.pth"));
}

TEST_F(Download, CancellingKeepsThePartAndTheNextRunGoesOn) {
    std::stop_source stop;
    const TestServer server([&](const Exchange& exchange) {
        if (exchange.number > 0) return exchange.sendFile(file, "\"v1\"");
        exchange.send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 200000\r\n\r\n" +
                      file.substr(0, 50000));
        exchange.waitForEnd();
    });
    DownloadRequest wanted = request(server.url());
    wanted.stalled = std::chrono::seconds(60);
    RunContext context{stop.get_token(), [&](std::string_view, double fraction) {
                           if (fraction >= 0.25) stop.request_stop();
                       }};
    const auto cancelled = download(wanted, context);
    ASSERT_FALSE(cancelled.has_value());
    EXPECT_EQ(cancelled.error().code, ErrorCode::Cancelled);
    EXPECT_THAT(folder.names(), UnorderedElementsAre("model.pth.part", "model.pth.part.etag"));
    const auto report = download(wanted);
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(report->resumed, 50000);
    EXPECT_EQ(fetched(), file);
    EXPECT_THAT(folder.names(), ElementsAre("model.pth"));
}

TEST_F(Download, APartOfAnotherVersionIsNotContinued) {
    writeBytes(folder / "model.pth.part", content(5000, 7));
    writeBytes(folder / "model.pth.part.etag", "\"v0\"");
    const TestServer server([&](const Exchange& exchange) {
        EXPECT_THAT(exchange.request, HasSubstr("If-Range: \"v0\""));
        exchange.send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 200000\r\n\r\n" + file);
    });
    const auto report = download(request(server.url()));
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(fetched(), file);
}

TEST_F(Download, APartThatIsTheWholeFileIsEnough) {
    writeBytes(folder / "model.pth.part", file);
    writeBytes(folder / "model.pth.part.etag", "\"v1\"");
    const TestServer server([&](const Exchange& exchange) {
        exchange.send("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */200000\r\n"
                      "Content-Length: 0\r\n\r\n");
    });
    const auto report = download(request(server.url()));
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(fetched(), file);
}

TEST_F(Download, RedirectionsAreFollowedAndHuggingFacesChecksumCounts) {
    std::string told = digest(file);
    const TestServer server([&](const Exchange& exchange) {
        if (exchange.request.starts_with("GET /file"))
            return exchange.send("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nX-Linked-ETag: \"" +
                                 told + "\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        exchange.sendFile(file, "\"v1\"");
    });
    DownloadRequest wanted = request(server.url());
    wanted.sha256.clear();
    const auto report = download(wanted);
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_TRUE(report->checksumKnown);
    told = digest("another file");
    const auto other = download(wanted);
    ASSERT_FALSE(other.has_value());
    EXPECT_THAT(other.error().message, HasSubstr("is not the published file"));
}

TEST_F(Download, RefusalsAreSaidAndNotRepeated) {
    const struct {
        std::string status;
        ErrorCode code;
        std::string reason;
        std::size_t requests;
    } cases[] = {{"404 Not Found", ErrorCode::NotFound, "no such file", 1},
                 {"401 Unauthorized", ErrorCode::Unsupported, "signed in", 1},
                 {"503 Busy", ErrorCode::Unsupported, "status 503", 3}};
    for (const auto& wanted : cases) {
        const TestServer server([&](const Exchange& exchange) {
            exchange.send("HTTP/1.1 " + wanted.status + "\r\nContent-Length: 5\r\n\r\nsorry");
        });
        const auto report = download(request(server.url()));
        ASSERT_FALSE(report.has_value());
        EXPECT_EQ(report.error().code, wanted.code);
        EXPECT_THAT(report.error().message, HasSubstr(wanted.reason));
        EXPECT_EQ(server.requests().size(), wanted.requests) << wanted.status;
        EXPECT_THAT(folder.names(), IsEmpty());
    }
}

TEST_F(Download, ANoticeOfBusyIsWaitedFor) {
    const TestServer server([&](const Exchange& exchange) {
        if (exchange.number == 0)
            return exchange.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        exchange.sendFile(file, "\"v1\"");
    });
    EXPECT_TRUE(download(request(server.url())).has_value());
}

TEST_F(Download, GoesThroughAProxy) {
    const TestServer proxy([&](const Exchange& exchange) { exchange.sendFile(file, "\"v1\""); });
    DownloadRequest wanted = request("http://models.invalid/file");
    wanted.proxy = proxy.address();
    ASSERT_TRUE(download(wanted).has_value());
    EXPECT_THAT(proxy.requests().at(0), HasSubstr("GET http://models.invalid/file HTTP/1.1"));
}

TEST_F(Download, AServerThatIsNotThere) {
    std::string address;
    {
        const TestServer server([](const Exchange&) {});
        address = server.url();
    }
    const auto report = download(request(address));
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().code, ErrorCode::NotFound);
    EXPECT_THAT(folder.names(), IsEmpty());
    EXPECT_EQ(download(request("file:///etc/hostname")).error().code, ErrorCode::Unsupported);
}

} // namespace
} // namespace loftscope
