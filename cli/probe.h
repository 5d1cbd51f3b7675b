// Asks an admin port on this machine whether its tier is ready, without ever
// blocking: the supervisor's one thread watches three processes.
#pragma once

#include <optional>
#include <string>

namespace weft::cli {

struct Readiness {
  bool is_ready = false;
  std::string cause;  // why not; empty: nobody answered
};

// One `GET /readyz`. Destroying it gives the question up.
class Probe {
 public:
  explicit Probe(int port);
  ~Probe();
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // To poll, for these events; -1: the answer is there.
  int fd() const { return fd_; }
  short events() const;
  // Goes on as far as it can. nullopt: no answer yet.
  std::optional<Readiness> Advance();

 private:
  Readiness End(Readiness readiness);

  int fd_ = -1;
  bool was_sent_ = false;
  std::string answer_;
};

// `HTTP/1.1 503 …\r\n…\r\n\r\nno worker\n` -> {false, "no worker"}
Readiness ReadAnswer(const std::string& answer);

}  // namespace weft::cli
