// SPDX-License-Identifier: Apache-2.0
// A server of HTTP on this computer that answers as a test wants, badly if need be.
#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace loftscope::test {

/// One request, and the connection to answer it on.
class Exchange {
public:
    Exchange(int socket, std::string text, std::size_t place)
        : request(std::move(text))
        , number(place)
        , socket_(socket) {}

    const std::string request; ///< line and headers
    const std::size_t number;  ///< of the request, from 0

    /// Raw bytes, as far as the client still listens.
    void send(const std::string& bytes) const {
        std::size_t sent = 0;
        while (sent < bytes.size()) {
            const ssize_t count =
                ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (count <= 0) return;
            sent += static_cast<std::size_t>(count);
        }
    }
    /// Waits for the client to hang up.
    void waitForEnd() const {
        char byte = 0;
        while (::recv(socket_, &byte, 1, 0) > 0) {
        }
    }
    /// Where the range that is asked for begins; 0 without one.
    std::size_t rangeStart() const {
        const std::size_t at = request.find("Range: bytes=");
        return at == std::string::npos ? 0 : std::stoul(request.substr(at + 13));
    }
    /// The file from there on, as a server that does all right answers.
    void sendFile(const std::string& content, const std::string& etag) const {
        const std::size_t start = rangeStart();
        const std::string rest = content.substr(start);
        std::string head = start == 0 ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 206 Partial Content\r\n";
        if (start > 0)
            head += "Content-Range: bytes " + std::to_string(start) + "-" +
                    std::to_string(content.size() - 1) + "/" + std::to_string(content.size()) +
                    "\r\n";
        if (!etag.empty()) head += "ETag: " + etag + "\r\n";
        send(head + "Content-Length: " + std::to_string(rest.size()) + "\r\n\r\n" + rest);
    }

private:
    int socket_;
};

class TestServer {
public:
    using Answer = std::function<void(const Exchange&)>;

    explicit TestServer(Answer answer)
        : answer_(std::move(answer))
        , listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        // Whoever has set a proxy does not mean this server.
        ::setenv("no_proxy", "127.0.0.1", 1);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof(address);
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
            ::listen(listener_, 8) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
            throw std::runtime_error("no server");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~TestServer() {
        stopping_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }
    TestServer(const TestServer&) = delete;
    TestServer& operator=(const TestServer&) = delete;

    std::string address() const { return "http://127.0.0.1:" + std::to_string(port_); }
    std::string url() const { return address() + "/file"; }
    std::vector<std::string> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

private:
    void serve() {
        while (!stopping_) {
            const int connection = ::accept(listener_, nullptr, nullptr);
            if (connection < 0) return;
            std::string request;
            char byte = 0;
            while (!request.ends_with("\r\n\r\n") && ::recv(connection, &byte, 1, 0) == 1)
                request += byte;
            std::size_t number = 0;
            {
                const std::lock_guard lock(mutex_);
                number = requests_.size();
                requests_.push_back(request);
            }
            answer_(Exchange(connection, request, number));
            ::close(connection);
        }
    }

    Answer answer_;
    int listener_;
    int port_ = 0;
    std::atomic<bool> stopping_ = false;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::thread thread_;
};

} // namespace loftscope::test
