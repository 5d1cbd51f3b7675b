#include "common/shutdown.h"

#include <signal.h>

#include "gtest/gtest.h"

namespace weft {
namespace {

TEST(ShutdownSignal, WaitReturnsOnRequestAndTheSecondSignalKills) {
  EXPECT_EXIT(
      {
        ShutdownSignal shutdown;
        ShutdownSignal::Request();
        shutdown.Wait();
        if (!ShutdownSignal::IsDraining()) _exit(1);
        raise(SIGTERM);
        _exit(2);
      },
      ::testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace weft
