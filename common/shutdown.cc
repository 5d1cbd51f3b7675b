#include "common/shutdown.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace weft {
namespace {

std::atomic<bool> is_draining{false};

sigset_t Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

ShutdownSignal::ShutdownSignal() {
  const sigset_t signals = Signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void ShutdownSignal::Wait() {
  const sigset_t signals = Signals();
  int number = 0;
  while (sigwait(&signals, &number) != 0) {
  }
  is_draining = true;
  // From here on Ctrl-C kills: whoever drains may be stuck. SIGTERM does not: Kubernetes asks for
  // a drain (preStop), sends it at once behind that, and ends what takes too long with SIGKILL.
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void ShutdownSignal::Request() {
  if (!is_draining) kill(getpid(), SIGTERM);
}

bool ShutdownSignal::IsDraining() { return is_draining; }

}  // namespace weft
