#include "cli/interrupts.h"

#include <atomic>

namespace weft::cli {
namespace {

std::atomic<int> noted{0};
static_assert(std::atomic<int>::is_always_lock_free);

void Note(int number) { noted.store(number); }

}  // namespace

Interrupts::Interrupts() {
  noted.store(0);
  struct sigaction action = {};
  action.sa_handler = Note;  // without SA_RESTART: who waits for input shall wake
  sigaction(SIGINT, &action, &interrupt_);
  sigaction(SIGTERM, &action, &terminate_);
}

Interrupts::~Interrupts() {
  sigaction(SIGINT, &interrupt_, nullptr);
  sigaction(SIGTERM, &terminate_, nullptr);
}

int Interrupts::signal() const { return noted.load(); }

void Interrupts::Clear() { noted.store(0); }

}  // namespace weft::cli
