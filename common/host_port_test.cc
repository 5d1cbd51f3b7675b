#include "common/host_port.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(JoinHostPort, PutsOnlyIPv6InBrackets) {
  EXPECT_EQ(JoinHostPort("127.0.0.1", 7000), "127.0.0.1:7000");
  EXPECT_EQ(JoinHostPort("scheduler.weft", 7000), "scheduler.weft:7000");
  EXPECT_EQ(JoinHostPort("::", 7000), "[::]:7000");
  EXPECT_EQ(JoinHostPort("fd00::7", 0), "[fd00::7]:0");
}

TEST(WithPort, AddsOneOnlyWhereNoneIs) {
  EXPECT_EQ(WithPort("10.0.0.7", 7000), "10.0.0.7:7000");
  EXPECT_EQ(WithPort("10.0.0.7:1", 7000), "10.0.0.7:1");
  EXPECT_EQ(WithPort("pod", 7000), "pod:7000");
  EXPECT_EQ(WithPort("pod:1", 7000), "pod:1");
  EXPECT_EQ(WithPort("fd00::7", 7000), "[fd00::7]:7000");
  EXPECT_EQ(WithPort("[fd00::7]", 7000), "[fd00::7]:7000");
  EXPECT_EQ(WithPort("[fd00::7]:1", 7000), "[fd00::7]:1");
}

}  // namespace
}  // namespace weft
