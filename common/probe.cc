#include "common/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <iostream>

#include "absl/strings/ascii.h"
#include "common/flags.h"

namespace weft {
namespace {

constexpr size_t kMaxAnswerBytes = 16 << 10;
// Health checks of containers have limits of their own, which are rarely shorter.
constexpr std::chrono::seconds kProbeMainLimit{2};
constexpr char kQuestion[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

// nullopt: no answer within the limit.
std::optional<Readiness> Ask(int port) {
  using std::chrono::steady_clock;
  Probe probe(port);
  const auto deadline = steady_clock::now() + kProbeMainLimit;
  while (true) {
    if (std::optional<Readiness> readiness = probe.Advance()) return readiness;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) return std::nullopt;
    pollfd fd = {probe.fd(), probe.events(), 0};
    poll(&fd, 1, static_cast<int>(left.count()));
  }
}

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

int ProbeMain(const std::string& binary, int default_port, int argc, const char* const* argv) {
  int port = default_port;
  Flags flags(binary + " probe", "Says whether the process beside it is ready: 0 or 1.");
  flags.Add("--admin-port", port, "The admin port of the process, on this machine", 1, 65535);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  const std::optional<Readiness> readiness = Ask(port);
  if (readiness && readiness->is_ready) return 0;
  std::cerr << binary << " probe: not ready: ";
  if (!readiness) {
    std::cerr << "no answer in " << kProbeMainLimit.count() << " s";
  } else if (readiness->cause.empty()) {
    std::cerr << "nobody answers";
  } else {
    std::cerr << readiness->cause;
  }
  std::cerr << " (admin port " << port << ")\n";
  return 1;
}

}  // namespace weft
