// Asks an admin port on this machine whether its tier is ready.
#pragma once

#include <optional>
#include <string>

namespace weft {

struct Readiness {
  bool is_ready = false;
  std::string cause;  // why not; empty: nobody answered
};

// One `GET /readyz`, without ever blocking: the supervisor's one thread watches three processes.
// Destroying it gives the question up.
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

// `BINARY probe [--admin-port N]`: for health checks in images that hold nothing to ask with. 0 if
// the process of that port is ready; else 1, with the cause on stderr; 2 for a bad flag. argv[0] is
// "probe". The flag's default and its variable (WEFT_ADMIN_PORT) are the process's own.
int ProbeMain(const std::string& binary, int default_port, int argc, const char* const* argv);

}  // namespace weft
