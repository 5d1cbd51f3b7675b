#include "cli/bench/sse_scanner.h"

#include "gtest/gtest.h"

namespace weft::bench {
namespace {

std::string Completion(const std::string& text) {
  return R"(data: {"id":"c","choices":[{"index":0,"text":)" + text +
         R"(,"logprobs":null,"finish_reason":null}]})"
         "\n\n";
}

const std::string kEnd =
    R"(data: {"choices":[{"index":0,"text":"","finish_reason":"length"}]})"
    "\n\n"
    R"(data: {"choices":[],"usage":{"prompt_tokens":512,"total_tokens":768,"completion_tokens":256}})"
    "\n\ndata: [DONE]\n\n";

SseScanner Scan(std::string_view bytes) {
  SseScanner scanner;
  scanner.Feed(bytes);
  return scanner;
}

TEST(SseScanner, CountsEventsWithTextAndReadsUsageAndTheEnd) {
  const SseScanner scanner = Scan(Completion(R"("a")") + Completion(R"("b c")") + kEnd);
  EXPECT_EQ(scanner.num_text_events(), 2);
  EXPECT_EQ(scanner.num_events(), 5);
  EXPECT_TRUE(scanner.has_finish());
  EXPECT_TRUE(scanner.is_done());
  ASSERT_TRUE(scanner.usage());
  EXPECT_EQ(scanner.usage()->prompt_tokens, 512);
  EXPECT_EQ(scanner.usage()->completion_tokens, 256);
  EXPECT_EQ(scanner.error(), "");
}

TEST(SseScanner, ItDoesNotMatterWhereTheBytesAreCut) {
  const std::string bytes = ": ping\n\n" + Completion(R"("a")") + Completion(R"("\n")") + kEnd;
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    SCOPED_TRACE(cut);
    SseScanner scanner;
    scanner.Feed(std::string_view(bytes).substr(0, cut));
    scanner.Feed(std::string_view(bytes).substr(cut));
    EXPECT_EQ(scanner.num_text_events(), 2);
    EXPECT_EQ(scanner.usage()->completion_tokens, 256);
    EXPECT_TRUE(scanner.is_done());
  }
}

TEST(SseScanner, KeepsACompletionsTextIfItIsToldTo) {
  SseScanner scanner(/*keeps_text=*/true);
  for (int i = 0; i < 2; ++i) {
    scanner.Feed(Completion(R"("a\"b")") + Completion(R"("\u00e4\n")") + kEnd);
    EXPECT_EQ(scanner.text(), "a\"b\xc3\xa4\n");
    scanner.Reset();
    EXPECT_EQ(scanner.text(), "");
  }
  EXPECT_EQ(Scan(Completion(R"("a")")).text(), "");
}

TEST(SseScanner, ChatTextIsContentOrReasoning) {
  const auto chat = [](const std::string& delta) {
    return Scan(R"(data: {"choices":[{"index":0,"delta":{)" + delta +
                R"(},"logprobs":null,"finish_reason":null}],"usage":null})" + "\n\n")
        .num_text_events();
  };
  EXPECT_EQ(chat(R"("role":"assistant","content":"")"), 0);
  EXPECT_EQ(chat(R"("content":"x")"), 1);
  EXPECT_EQ(chat(R"("content":null,"reasoning_content":"x","reasoning":"x")"), 1);
  EXPECT_EQ(chat(R"("content": "x")"), 1) << "as Python writes it";
  EXPECT_EQ(chat(R"("content": "")"), 0);
}

TEST(SseScanner, AToolsCallIsContentAndARoleAloneIsNone) {
  const auto count = [](const std::string& delta) {
    return Scan(R"(data: {"choices":[{"index":0,"delta":{)" + delta + "}}]}\n\n").num_text_events();
  };
  EXPECT_EQ(count(R"("tool_calls":[{"index":0,"function":{"arguments":"{"}}])"), 1);
  EXPECT_EQ(count(R"("role":"assistant","content":null,"tool_calls":[])"), 0);
  EXPECT_EQ(count(R"("role":"assistant","tool_calls":null)"), 0);
}

TEST(SseScanner, KeepsAChatsTextAndReasoning) {
  SseScanner scanner(/*keeps_text=*/true);
  for (const char* delta : {R"("role":"assistant","content":"")", R"("reasoning_content":"a")",
                            R"("content":null,"reasoning":"b")", R"("content":"c")"}) {
    scanner.Feed(std::string(R"(data: {"choices":[{"delta":{)") + delta + "}}]}\n\n");
  }
  EXPECT_EQ(scanner.text(), "abc");
}

TEST(SseScanner, WhatAModelWritesIsNeverTakenForAKey) {
  const SseScanner scanner = Scan(Completion(
      R"("\"usage\":{\"completion_tokens\":9},\"error\":\"x\",\"finish_reason\":\"stop\",[DONE]")"));
  EXPECT_EQ(scanner.num_text_events(), 1);
  EXPECT_FALSE(scanner.usage());
  EXPECT_FALSE(scanner.has_finish());
  EXPECT_FALSE(scanner.is_done());
  EXPECT_EQ(scanner.error(), "");
  EXPECT_EQ(Scan(Completion(R"("")")).num_text_events(), 0);
}

TEST(SseScanner, ALogprobListCalledContentIsNoText) {
  EXPECT_EQ(Scan(R"(data: {"choices":[{"delta":{},"logprobs":{"content":[]}}]})"
                 "\n\n")
                .num_text_events(),
            0);
}

TEST(SseScanner, CarriageReturnsAndNoBlankAreFine) {
  const SseScanner scanner = Scan("data:{\"choices\":[{\"text\":\"a\"}]}\r\n\r\ndata:[DONE]\r\n");
  EXPECT_EQ(scanner.num_text_events(), 1);
  EXPECT_TRUE(scanner.is_done());
}

TEST(SseScanner, AnErrorInTheStreamIsKept) {
  EXPECT_EQ(Scan("data: {\"error\":{\"message\":\"no worker\",\"code\":503}}\n\n").error(),
            "no worker");
  EXPECT_EQ(Scan("data: {\"object\":\"error\",\"message\":\"old\"}\n\n").error(), "old");
}

TEST(ErrorMessage, IsFoundInEveryShape) {
  EXPECT_EQ(ErrorMessage(R"({"error":{"message":"a"}})"), "a");
  EXPECT_EQ(ErrorMessage(R"({"error":"b"})"), "b");
  EXPECT_EQ(ErrorMessage(R"({"detail":"c"})"), "c");
  EXPECT_EQ(ErrorMessage("<html>\nBad Gateway</html>\n"), "<html> Bad Gateway</html>");
  EXPECT_EQ(ErrorMessage(""), "(no message)");
  EXPECT_LT(ErrorMessage(std::string(100'000, 'x')).size(), 400u);
}

}  // namespace
}  // namespace weft::bench
