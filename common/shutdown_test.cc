#include "common/shutdown.h"

#include <signal.h>

#include "gtest/gtest.h"

namespace weft {
namespace {

TEST(ShutdownSignal, WaitReturnsOnRequestAndThenOnlySigintKills) {
  EXPECT_EXIT(
      {
        ShutdownSignal shutdown;
        ShutdownSignal::Request();
        shutdown.Wait();
        if (!ShutdownSignal::IsDraining()) _exit(1);
        raise(SIGTERM);
        raise(SIGINT);
        _exit(2);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace weft
