#include "common/trace_context.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

constexpr char kTrace[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kSpan[] = "b7ad6b7169203331";

std::string Header(const std::string& version, const std::string& rest = "") {
  return version + "-" + kTrace + "-" + kSpan + "-01" + rest;
}

TEST(Traceparent, IsReadAndWritten) {
  const SpanContext context = ParseTraceparent(Header("00"));
  ASSERT_TRUE(context.valid());
  EXPECT_EQ(TraceIdHex(context), kTrace);
  EXPECT_EQ(SpanIdHex(context.span), kSpan);
  EXPECT_TRUE(context.sampled);
  EXPECT_EQ(FormatTraceparent(context), Header("00"));
}

TEST(Traceparent, OfItsFlagsOnlyTheLastBitIsKnown) {
  const std::string head = std::string("00-") + kTrace + "-" + kSpan;
  EXPECT_FALSE(ParseTraceparent(head + "-00").sampled);
  EXPECT_TRUE(ParseTraceparent(head + "-ff").sampled);
  const SpanContext unsampled = ParseTraceparent(head + "-fe");
  EXPECT_TRUE(unsampled.valid());
  EXPECT_FALSE(unsampled.sampled);
  EXPECT_EQ(FormatTraceparent(unsampled), head + "-00");
}

TEST(Traceparent, OfAVersionToComeItsBeginningIsRead) {
  EXPECT_TRUE(ParseTraceparent(Header("cc")).valid());
  EXPECT_TRUE(ParseTraceparent(Header("cc", "-what-the-future-brings")).valid());
  EXPECT_TRUE(ParseTraceparent(Header("01", "-")).valid());
  EXPECT_FALSE(ParseTraceparent(Header("cc", ".x")).valid());
  EXPECT_FALSE(ParseTraceparent(Header("ff")).valid());
}

TEST(Traceparent, WhatIsNoneIsAsIfThereWereNone) {
  const std::string trace = kTrace;
  const std::string span = kSpan;
  for (const std::string& text : {
           std::string(),
           std::string("00"),
           Header("00", "-"),
           Header("00", "-extra"),
           Header("00", " "),
           Header("0"),
           Header("0x"),
           Header("zz"),
           "00-" + std::string(32, '0') + "-" + span + "-01",
           "00-" + trace + "-" + std::string(16, '0') + "-01",
           "00-0AF7651916CD43DD8448EB211C80319C-" + span + "-01",
           "00-" + trace + "-B7AD6B7169203331-01",
           "00-" + trace.substr(1) + "-" + span + "-01",
           "00-" + trace + "-" + span.substr(1) + "-01",
           "00-" + trace + "-" + span + "-1",
           "00-" + trace + "-" + span + "-0g",
           "00_" + trace + "-" + span + "-01",
           "00-" + trace + "_" + span + "-01",
           "00-" + trace + "-" + span + "_01",
           "00-" + trace + "-" + span,
           " " + Header("00"),
       }) {
    EXPECT_FALSE(ParseTraceparent(text).valid()) << text;
    EXPECT_EQ(FormatTraceparent(ParseTraceparent(text)), "") << text;
  }
}

}  // namespace
}  // namespace weft
