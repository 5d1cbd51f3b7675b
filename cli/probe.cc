#include "cli/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/ascii.h"

namespace weft::cli {
namespace {

constexpr size_t kMaxAnswerBytes = 16 << 10;
constexpr char kQuestion[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

}  // namespace

Probe::Probe(int port) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (fd_ >= 0 && connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EINPROGRESS) {
    End({});
  }
}

Probe::~Probe() { End({}); }

short Probe::events() const { return was_sent_ ? POLLIN : POLLOUT; }

std::optional<Readiness> Probe::Advance() {
  if (fd_ < 0) return Readiness{};
  if (!was_sent_) {
    const ssize_t sent = send(fd_, kQuestion, sizeof(kQuestion) - 1, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN)) return std::nullopt;
    // The first bytes of a connection fit its buffer, or it is of no use.
    if (sent != sizeof(kQuestion) - 1) return End({});
    was_sent_ = true;
  }
  char bytes[4096];
  while (true) {
    const ssize_t size = recv(fd_, bytes, sizeof(bytes), 0);
    if (size < 0) return errno == EAGAIN ? std::nullopt : std::optional(End({}));
    if (size == 0) return End(ReadAnswer(answer_));
    answer_.append(bytes, size);
    if (answer_.size() > kMaxAnswerBytes) return End({});
  }
}

Readiness Probe::End(Readiness readiness) {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  return readiness;
}

Readiness ReadAnswer(const std::string& answer) {
  const size_t space = answer.find(' ');
  const size_t body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.") || body == std::string::npos) return {};
  if (answer.compare(space + 1, 3, "200") == 0) return {.is_ready = true};
  return {.is_ready = false,
          .cause = std::string(absl::StripAsciiWhitespace(answer.substr(body + 4)))};
}

}  // namespace weft::cli
