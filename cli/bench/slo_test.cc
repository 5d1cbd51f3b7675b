#include "cli/bench/slo.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::bench {
namespace {

TEST(ParseSlo, ReadsBounds) {
  const Slo slo = ParseSlo("ttft:200,itl:2.5 e2el:9000").value();
  EXPECT_EQ(slo.ttft, 200);
  EXPECT_EQ(slo.itl, 2.5);
  EXPECT_EQ(slo.e2el, 9000);
  EXPECT_FALSE(slo.tpot);
  EXPECT_EQ(ParseSlo("ttft=200ms,itl=2.5ms").value().itl, 2.5);
  EXPECT_TRUE(ParseSlo("").ok());
}

TEST(ParseSlo, SaysWhatABoundIs) {
  for (const char* wrong :
       {"ttft", "ttft:", "ttft:fast", "ttft:-1", "latency:3", "ttft:nan", "ttft=2s"}) {
    EXPECT_THAT(ParseSlo(wrong).status().message(), ::testing::HasSubstr("none of ttft=MS"))
        << wrong;
  }
}

}  // namespace
}  // namespace weft::bench
