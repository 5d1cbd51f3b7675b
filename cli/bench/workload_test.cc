#include "cli/bench/workload.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Parts {
  std::string head;
  boost::json::object body;
};

const Dataset kNoDataset;

Workload MakeWorkload(const Options& options, std::vector<sim::Arrival> requests,
                      const Dataset& dataset = kNoDataset) {
  return Workload(options, ParseUrl("http://server:8000/base").value(), "my \"model\"", dataset,
                  std::move(requests));
}

sim::Arrival Lengths(int num_input_tokens, int num_output_tokens) {
  return {.num_input_tokens = num_input_tokens, .num_output_tokens = num_output_tokens};
}

Parts Say(const Workload& workload, Dialogue& dialogue) {
  std::string request = "what was here before";
  workload.Write(dialogue, request);
  const size_t end = request.find("\r\n\r\n");
  const std::string body = request.substr(end + 4);
  EXPECT_THAT(request.substr(0, end + 2),
              HasSubstr("\r\nContent-Length: " + std::to_string(body.size()) + "\r\n"));
  return {request.substr(0, end), boost::json::parse(body).as_object()};
}

Parts Say(const Workload& workload, int64_t index) {
  Dialogue dialogue{.index = index};
  return Say(workload, dialogue);
}

Parts Request(const Options& options, const sim::Arrival& request) {
  return Say(MakeWorkload(options, {request}), 0);
}

TEST(Workload, ACompletionHasExactlyAsManyTokenIds) {
  const Parts request = Request({.api_key = "secret"}, Lengths(700, 9));
  EXPECT_THAT(request.head,
              StartsWith("POST /base/v1/completions HTTP/1.1\r\nHost: server:8000\r\n"));
  EXPECT_THAT(request.head, HasSubstr("Authorization: Bearer secret"));
  EXPECT_EQ(request.body.at("model"), "my \"model\"");
  EXPECT_EQ(request.body.at("max_tokens"), 9);
  EXPECT_EQ(request.body.at("ignore_eos"), true);
  EXPECT_EQ(request.body.at("stream_options").at("include_usage"), true);
  EXPECT_FALSE(request.body.contains("priority"));
  const boost::json::array& prompt = request.body.at("prompt").as_array();
  EXPECT_EQ(prompt.size(), 700u);
  for (const boost::json::value& id : prompt) {
    EXPECT_GE(id.as_int64(), 1000);
    EXPECT_LT(id.as_int64(), 30'000);
  }
}

TEST(Workload, FurtherFieldsStandBesideTheOthers) {
  const Parts request = Request({.extra_body = R"({"stop": ["\n"], "n": 2})"}, Lengths(5, 5));
  EXPECT_EQ(request.body.at("stop").at(0), "\n");
  EXPECT_EQ(request.body.at("n"), 2);
  EXPECT_EQ(request.body.at("stream"), true);
}

TEST(Workload, EachRequestHasItsLengthsAndAWarmUpToo) {
  const Workload workload = MakeWorkload({}, {Lengths(3, 30), Lengths(4, 40), Lengths(5, 50)});
  for (const int64_t index : {-3, -2, -1, 0, 1, 2, 3, 4, 5}) {
    Dialogue dialogue{.index = index};
    const Parts request = Say(workload, dialogue);
    const int64_t place = (index + 3) % 3;
    EXPECT_EQ(request.body.at("max_tokens"), 30 + 10 * place) << index;
    EXPECT_EQ(request.body.at("prompt").as_array().size(), 3u + place) << index;
    EXPECT_EQ(dialogue.num_prompt_ids, 3 + place);
    EXPECT_EQ(dialogue.num_asked_tokens, 30 + 10 * place);
  }
}

TEST(Workload, PromptsFollowSeedAndIndexAndShareNoBeginning) {
  const auto prompt = [](uint64_t seed, int64_t index) {
    return Say(MakeWorkload({.seed = seed}, {Lengths(16, 1)}), index).body.at("prompt").as_array();
  };
  EXPECT_EQ(prompt(1, 5), prompt(1, 5));
  EXPECT_NE(prompt(1, 5), prompt(2, 5));
  int num_equal = 0;
  for (int64_t index = -50; index < 50; ++index) {
    const auto one = prompt(1, index), next = prompt(1, index + 1);
    num_equal += one[0] == next[0];
    EXPECT_NE(one[1], next[0]) << "the neighbour's numbers, one place apart";
  }
  EXPECT_LT(num_equal, 3);
}

TEST(Workload, ASharedPrefixIsTheBeginningAndTheRestIsNot) {
  const auto prompt = [](const char* tenant, uint64_t prefix, int64_t index) {
    sim::Arrival request{.num_input_tokens = 12,
                         .num_output_tokens = 1,
                         .num_prefix_tokens = 8,
                         .prefix = prefix,
                         .tenant = tenant};
    const Parts parts = Say(MakeWorkload({}, {request}), index);
    std::vector<int64_t> ids;
    for (const auto& id : parts.body.at("prompt").as_array()) ids.push_back(id.as_int64());
    EXPECT_EQ(ids.size(), 12u);
    return ids;
  };
  const auto first = prompt("", 3, 0), second = prompt("", 3, 1);
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + 8, second.begin()));
  EXPECT_FALSE(std::equal(first.begin() + 8, first.end(), second.begin() + 8));
  EXPECT_NE(prompt("", 4, 0)[0], first[0]);
  EXPECT_NE(prompt("other", 3, 0)[0], first[0]);
}

TEST(Workload, AChatsSharedPrefixIsItsSystemPrompt) {
  const Parts parts = Request(
      {.endpoint = "chat"},
      {.num_input_tokens = 12, .num_output_tokens = 1, .num_prefix_tokens = 8, .priority = 2});
  const auto& messages = parts.body.at("messages").as_array();
  ASSERT_EQ(messages.size(), 2u);
  const auto num_spaces = [&](size_t i) {
    const boost::json::string& text = messages[i].at("content").as_string();
    return std::count(text.begin(), text.end(), ' ');
  };
  EXPECT_EQ(messages[0].at("role"), "system");
  EXPECT_EQ(num_spaces(0), 7);
  EXPECT_EQ(messages[1].at("role"), "user");
  EXPECT_EQ(num_spaces(1), 3);
  EXPECT_EQ(parts.body.at("priority"), 2);
}

TEST(Workload, ASmallVocabularyIsKept) {
  const Parts request = Request({.vocab_size = 10}, Lengths(100, 1));
  for (const boost::json::value& id : request.body.at("prompt").as_array()) {
    EXPECT_LT(id.as_int64(), 10);
  }
}

TEST(Workload, AChatIsOneMessageOfWords) {
  const Parts request = Request({.endpoint = "chat", .ignore_eos = false}, Lengths(20, 256));
  EXPECT_THAT(request.head, StartsWith("POST /base/v1/chat/completions "));
  EXPECT_FALSE(request.body.contains("ignore_eos"));
  EXPECT_EQ(request.body.at("max_completion_tokens"), 256);
  const boost::json::string& text = request.body.at("messages").at(0).at("content").as_string();
  EXPECT_EQ(std::count(text.begin(), text.end(), ' '), 19);
}

TEST(Workload, AConversationGoesOnWithItsAnswersAsLongAsItFits) {
  const Workload workload =
      MakeWorkload({.endpoint = "chat", .conversation_len = 100}, {Lengths(10, 20)});
  Dialogue dialogue;
  Say(workload, dialogue);
  EXPECT_TRUE(workload.Continue(dialogue, "say \"hi\"", 15, 20));
  const Parts second = Say(workload, dialogue);
  const auto& messages = second.body.at("messages").as_array();
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[1].at("role"), "assistant");
  EXPECT_EQ(messages[1].at("content"), "say \"hi\"");
  EXPECT_NE(messages[0].at("content"), messages[2].at("content"));
  EXPECT_TRUE(workload.Continue(dialogue, "b", 50, 20)) << "70, and 30 more";
  Say(workload, dialogue);
  EXPECT_FALSE(workload.Continue(dialogue, "c", 51, 20));
  Dialogue other{.index = 1};
  EXPECT_EQ(Say(workload, other).body.at("messages").as_array().size(), 1u);
}

TEST(Workload, AConversationOfASilentServerIsCountedByWhatWasSaid) {
  const Workload workload =
      MakeWorkload({.endpoint = "chat", .conversation_len = 90}, {Lengths(10, 20)});
  Dialogue dialogue;
  Say(workload, dialogue);
  EXPECT_TRUE(workload.Continue(dialogue, "a", 0, 20)) << "30, and 30 more";
  EXPECT_TRUE(workload.Continue(dialogue, "a", 0, 20)) << "60, and 30 more";
  EXPECT_FALSE(workload.Continue(dialogue, "a", 0, 20));
  EXPECT_FALSE(MakeWorkload({.endpoint = "chat"}, {Lengths(1, 1)}).Continue(dialogue, "a", 0, 1));
}

TEST(Workload, ADatasetsPromptIsSentAsItStands) {
  const Dataset dataset = Dataset::Parse("file", R"({"prompt":"a \"b\"","output_tokens":7})"
                                                 "\n"
                                                 R"({"question":"c"})")
                              .value();
  const Workload completions = MakeWorkload({}, {Lengths(10, 20)}, dataset);
  EXPECT_EQ(Say(completions, 0).body.at("prompt"), "a \"b\"");
  EXPECT_EQ(Say(completions, 0).body.at("max_tokens"), 7);
  EXPECT_EQ(Say(completions, 1).body.at("max_tokens"), 20);
  const Parts chat = Say(MakeWorkload({.endpoint = "chat"}, {Lengths(10, 20)}, dataset), 1);
  EXPECT_EQ(chat.body.at("messages").at(0).at("content"), "c");
}

}  // namespace
}  // namespace weft::bench
