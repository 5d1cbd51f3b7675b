// Short sleeps that are short.
#pragma once

#include <sys/prctl.h>

namespace weft::worker {

// From now on this thread's sleeps last some microseconds longer than asked, not the 50
// that the kernel allows itself otherwise. Cheap to call again.
inline void UsePreciseTimers() {
  thread_local bool is_precise = false;
  if (is_precise) return;
  constexpr unsigned long kSlackNanoseconds = 1000;
  prctl(PR_SET_TIMERSLACK, kSlackNanoseconds, 0UL, 0UL, 0UL);
  is_precise = true;
}

}  // namespace weft::worker
