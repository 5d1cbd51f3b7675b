#include "cli/chat/answer_reader.h"

#include "gtest/gtest.h"

namespace weft::chat {
namespace {

struct Reading {
  std::string reasoning, content;
  AnswerReader reader{[this](Part part, std::string_view text) {
    (part == Part::kReasoning ? reasoning : content) += text;
  }};
};

constexpr char kStream[] =
    ": a comment\n"
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm\",\"reasoning\":\"Hm\"}}]}\n\n"
    "data:{\"choices\":[{\"delta\":{\"content\":\"4\"}}]}\r\n\r\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"2\\u00e9\"},\"finish_reason\":null}]}\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n"
    "data: [DONE]\n\n";

TEST(AnswerReader, ReadsTheSameHoweverTheBytesAreCut) {
  const std::string stream = kStream;
  for (size_t size : {size_t{1}, size_t{7}, stream.size()}) {
    Reading r;
    for (size_t at = 0; at < stream.size(); at += size) r.reader.Feed(stream.substr(at, size));
    EXPECT_EQ(r.reasoning, "Hm");
    EXPECT_EQ(r.content, "42\u00e9");
    EXPECT_EQ(r.reader.finish_reason(), "stop");
    EXPECT_TRUE(r.reader.is_done());
    EXPECT_EQ(r.reader.error(), "");
  }
}

TEST(AnswerReader, AnErrorInTheStreamIsKept) {
  Reading r;
  r.reader.Feed("data: {\"error\":{\"message\":\"the worker is lost\"}}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(r.reader.error(), "the worker is lost");
}

TEST(AnswerReader, WhatIsNoJsonIsAnError) {
  Reading r;
  r.reader.Feed("data: <html>\n\n");
  EXPECT_NE(r.reader.error(), "");
  EXPECT_FALSE(r.reader.is_done());
}

}  // namespace
}  // namespace weft::chat
