// While one lives, Ctrl-C and SIGTERM end nothing: they are noted, for whoever works to stop at a
// good moment. One at a time.
#pragma once

#include <signal.h>

namespace weft::cli {

class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // SIGINT or SIGTERM if one has come; else 0. Any thread.
  int signal() const;
  // Forgets it.
  void Clear();

 private:
  struct sigaction interrupt_, terminate_;  // as they were
};

}  // namespace weft::cli
