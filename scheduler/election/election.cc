#include "scheduler/election/election.h"

#include <chrono>

namespace weft::scheduler {

uint64_t TermOfNow() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

}  // namespace weft::scheduler
