// For tests: a client that sends exactly the bytes it is told to.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "gtest/gtest.h"

namespace weft::http {

class RawClient {
 public:
  // `receive_buffer`: a small one makes a slow reader soon felt; 0: the system's.
  explicit RawClient(int port, int receive_buffer = 0) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer > 0) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      ADD_FAILURE() << "cannot connect";
    }
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;

  // False once the server has closed.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  // Reads until `text` has come, the server closes, or time is up. All that has been
  // read since the last call, and what is behind `text`.
  std::string ReadUntil(std::string_view text, int timeout_ms = 5000) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    while (read_.find(text) == std::string::npos && !closed_) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      pollfd waiting{fd_, POLLIN, 0};
      if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) break;
      char buffer[16384];
      const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) {
        closed_ = true;
        break;
      }
      read_.append(buffer, static_cast<size_t>(n));
    }
    return std::exchange(read_, {});
  }

  // One answer with Content-Length, whole.
  std::string ReadAnswer(int timeout_ms = 5000) {
    std::string answer = ReadUntil("\r\n\r\n", timeout_ms);
    const size_t head = answer.find("\r\n\r\n");
    if (head == std::string::npos) return answer;
    const size_t length_at = answer.find("Content-Length: ");
    const size_t length = length_at < head ? std::stoul(answer.substr(length_at + 16)) : 0;
    const size_t size = head + 4 + length;
    while (answer.size() < size && !closed_) {
      read_ = std::move(answer);
      const size_t before = read_.size();
      answer = ReadMore(timeout_ms);
      if (answer.size() == before) break;
    }
    if (answer.size() > size) {
      read_ = answer.substr(size);
      answer.resize(size);
    }
    return answer;
  }

  // Until the server closes.
  std::string ReadAll(int timeout_ms = 5000) {
    return ReadUntil(std::string_view("\0never\0", 7), timeout_ms);
  }
  bool closed() const { return closed_; }
  int fd() const { return fd_; }

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  // The peer sees RST.
  void Reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    Close();
  }

 private:
  std::string ReadMore(int timeout_ms) {
    pollfd waiting{fd_, POLLIN, 0};
    char buffer[16384];
    if (poll(&waiting, 1, timeout_ms) > 0) {
      const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) {
        closed_ = true;
      } else {
        read_.append(buffer, static_cast<size_t>(n));
      }
    }
    return std::exchange(read_, {});
  }

  int fd_ = -1;
  bool closed_ = false;
  std::string read_;
};

}  // namespace weft::http
