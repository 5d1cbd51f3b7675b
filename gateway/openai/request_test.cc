#include "gateway/openai/request.h"

#include <cstdlib>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/inference/service.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::openai {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kMessages[] = R"("messages":[{"role":"user","content":"hi"}])";

std::string Chat(const std::string& fields) {
  return absl::StrCat("{", kMessages, fields.empty() ? "" : ",", fields, "}");
}
std::string Completion(const std::string& fields) {
  return absl::StrCat(R"({"prompt":"p")", fields.empty() ? "" : ",", fields, "}");
}

template <typename T>
std::string Param(const absl::StatusOr<T>& result) {
  if (result.ok()) return "(accepted)";
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  const auto payload = result.status().GetPayload(gateway::kParamPayload);
  return payload ? std::string(*payload) : "(none)";
}
template <typename T>
std::string Message(const absl::StatusOr<T>& result) {
  return result.ok() ? "(accepted)" : std::string(result.status().message());
}

// Which field of a chat, or of a completion, is to blame.
std::string ChatParam(const std::string& fields) { return Param(ParseChat(Chat(fields))); }
std::string CompletionParam(const std::string& fields) {
  return Param(ParseCompletion(Completion(fields)));
}

gateway::GenerationOptions ChatOptions(const std::string& fields) {
  auto call = ParseChat(Chat(fields));
  EXPECT_TRUE(call.ok()) << call.status();
  return call.ok() ? call->requests.front().options : gateway::GenerationOptions();
}

gateway::ChatPrompt ChatPromptOf(const std::string& fields) {
  auto call = ParseChat(Chat(fields));
  EXPECT_TRUE(call.ok()) << call.status();
  if (!call.ok()) return {};
  return std::get<gateway::ChatPrompt>(call->requests.front().prompt);
}

std::vector<text::ChatMessage> Messages(const std::string& json) {
  auto call = ParseChat(absl::StrCat(R"({"messages":)", json, "}"));
  EXPECT_TRUE(call.ok()) << call.status();
  if (!call.ok()) return {};
  return std::get<gateway::ChatPrompt>(call->requests.front().prompt).messages;
}

TEST(ChatRequest, LeavesEverythingToTheServerByDefault) {
  const auto call = ParseChat(Chat(""));
  ASSERT_TRUE(call.ok());
  ASSERT_EQ(call->requests.size(), 1u);
  const gateway::Request& request = call->requests.front();
  const gateway::GenerationOptions& options = request.options;
  EXPECT_EQ(request.model, "");
  EXPECT_TRUE(request.split_reasoning);
  EXPECT_FALSE(call->stream);
  EXPECT_FALSE(options.max_tokens || options.temperature || options.top_p || options.top_k ||
               options.min_p || options.repetition_penalty || options.presence_penalty ||
               options.frequency_penalty || options.seed || options.n || options.min_tokens ||
               options.logprobs || options.prompt_logprobs);
  EXPECT_THAT(options.stop, IsEmpty());
  EXPECT_TRUE(options.skip_special_tokens);
  const auto& prompt = std::get<gateway::ChatPrompt>(request.prompt);
  EXPECT_TRUE(prompt.render.add_generation_prompt);
  EXPECT_FALSE(prompt.render.continue_final_message);
}

TEST(ChatRequest, ReadsEveryField) {
  const auto call = ParseChat(Chat(
      R"("model":"m","max_tokens":7,"temperature":0.5,"top_p":0.9,"top_k":-1,"min_p":0.1,
         "repetition_penalty":1.1,"presence_penalty":-2,"frequency_penalty":2,"seed":-5,"n":3,
         "logit_bias":{"5":-1,"7":2.5},"stop":["a","b"],"stop_token_ids":[1,2],"min_tokens":4,
         "ignore_eos":true,"include_stop_str_in_output":true,"skip_special_tokens":false,
         "priority":9,"stream":true,"stream_options":{"include_usage":true},"logprobs":true,
         "top_logprobs":5,"add_generation_prompt":false,"continue_final_message":true)"));
  ASSERT_TRUE(call.ok()) << call.status();
  const gateway::Request& request = call->requests.front();
  const gateway::GenerationOptions& options = request.options;
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(options.max_tokens, 7);
  EXPECT_EQ(options.temperature, 0.5);
  EXPECT_EQ(options.top_p, 0.9);
  EXPECT_EQ(options.top_k, -1);
  EXPECT_EQ(options.min_p, 0.1);
  EXPECT_EQ(options.repetition_penalty, 1.1);
  EXPECT_EQ(options.presence_penalty, -2);
  EXPECT_EQ(options.frequency_penalty, 2);
  EXPECT_EQ(options.seed, -5);
  EXPECT_EQ(options.n, 3);
  EXPECT_THAT(options.logit_bias, ElementsAre(Pair(5, -1), Pair(7, 2.5)));
  EXPECT_THAT(options.stop, ElementsAre("a", "b"));
  EXPECT_THAT(options.stop_token_ids, ElementsAre(1, 2));
  EXPECT_EQ(options.min_tokens, 4);
  EXPECT_TRUE(options.ignore_eos);
  EXPECT_TRUE(options.include_stop_str_in_output);
  EXPECT_FALSE(options.skip_special_tokens);
  EXPECT_EQ(options.priority, 9);
  EXPECT_EQ(options.logprobs, 5);
  EXPECT_TRUE(call->stream);
  EXPECT_TRUE(call->include_usage);
  EXPECT_FALSE(call->continuous_usage);
  const auto& prompt = std::get<gateway::ChatPrompt>(request.prompt);
  EXPECT_FALSE(prompt.render.add_generation_prompt);
  EXPECT_TRUE(prompt.render.continue_final_message);
}

TEST(ChatRequest, NullIsAsGoodAsAbsent) {
  const auto call = ParseChat(Chat(
      R"("model":null,"max_tokens":null,"temperature":null,"stop":null,"n":null,"seed":null,
         "stream":null,"stream_options":null,"logit_bias":null,"logprobs":null,"tools":null,
         "tool_choice":null,"response_format":null,"top_logprobs":null,"user":null,
         "prompt_logprobs":null,"chat_template_kwargs":null,"functions":null,"audio":null)"));
  EXPECT_TRUE(call.ok()) << call.status();
}

TEST(ChatRequest, MaxCompletionTokensWins) {
  EXPECT_EQ(ChatOptions(R"("max_completion_tokens":5,"max_tokens":9)").max_tokens, 5);
  EXPECT_EQ(ChatOptions(R"("max_tokens":9,"max_completion_tokens":null)").max_tokens, 9);
}

TEST(ChatRequest, StopIsAStringOrStrings) {
  EXPECT_THAT(ChatOptions(R"("stop":"x")").stop, ElementsAre("x"));
  EXPECT_THAT(ChatOptions(R"("stop":[])").stop, IsEmpty());
  EXPECT_EQ(ChatParam(R"("stop":[1])"), "stop");
  EXPECT_EQ(ChatParam(R"("stop":{})"), "stop");
}

TEST(ChatRequest, LogprobsAndTopLogprobsGoTogether) {
  EXPECT_EQ(ChatOptions(R"("logprobs":true)").logprobs, 0);
  EXPECT_EQ(ChatOptions(R"("logprobs":false,"top_logprobs":0)").logprobs, std::nullopt);
  EXPECT_EQ(ChatParam(R"("top_logprobs":3)"), "top_logprobs");
  EXPECT_EQ(ChatParam(R"("logprobs":true,"top_logprobs":21)"), "top_logprobs");
  EXPECT_EQ(ChatParam(R"("max_completion_tokens":0)"), "max_completion_tokens");
  EXPECT_EQ(ChatParam(R"("logprobs":3)"), "logprobs");
}

TEST(ChatRequest, PromptLogprobsShowWhereTheyAreAskedFor) {
  const auto call = ParseChat(Chat(R"("prompt_logprobs":0)"));
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_TRUE(call->shows_prompt_logprobs);
  EXPECT_EQ(call->requests.front().options.prompt_logprobs, 0);
  // Judged with the other values.
  EXPECT_EQ(ChatOptions(R"("prompt_logprobs":-1)").prompt_logprobs, -1);
}

TEST(CompletionRequest, AnEchoWithLogprobsAsksForThePromptsToo) {
  const auto parse = [](const char* fields) { return *ParseCompletion(Completion(fields)); };
  const auto prompt_logprobs = [&](const char* fields) {
    return parse(fields).requests.front().options.prompt_logprobs;
  };
  EXPECT_EQ(prompt_logprobs(R"("echo":true,"logprobs":3)"), 3);
  EXPECT_EQ(prompt_logprobs(R"("echo":true,"logprobs":0)"), 0);
  EXPECT_EQ(prompt_logprobs(R"("echo":true)"), std::nullopt);
  EXPECT_EQ(prompt_logprobs(R"("logprobs":3)"), std::nullopt);
  EXPECT_FALSE(parse(R"("echo":true,"logprobs":3)").shows_prompt_logprobs);
  EXPECT_EQ(prompt_logprobs(R"("echo":true,"logprobs":3,"prompt_logprobs":5)"), 5);
  EXPECT_TRUE(parse(R"("prompt_logprobs":5)").shows_prompt_logprobs);
}

TEST(CompletionRequest, AnEchoMayBeAllThatIsAskedFor) {
  const auto call = ParseCompletion(Completion(R"("echo":true,"max_tokens":0,"logprobs":1)"));
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_TRUE(call->only_echo);
  EXPECT_EQ(call->requests.front().options.max_tokens, 1);
  EXPECT_EQ(CompletionParam(R"("echo":true,"max_tokens":0,"stream":true)"), "max_tokens");
  // Without an echo the service says what is wrong with it.
  EXPECT_EQ(ParseCompletion(Completion(R"("max_tokens":0)"))->requests.front().options.max_tokens,
            0);
}

TEST(ChatRequest, WrongTypesNameTheFieldAndWhatIsRight) {
  for (const char* name : {"max_tokens", "max_completion_tokens", "top_k", "seed", "n",
                           "min_tokens", "priority", "top_logprobs"}) {
    for (const char* value :
         {"1.5", "\"1\"", "true", "[1]", "9223372036854775808", "18446744073709551616", "1e30"}) {
      EXPECT_EQ(ChatParam(absl::StrCat("\"", name, "\":", value)), name) << value;
    }
    EXPECT_THAT(Message(ParseChat(Chat(absl::StrCat("\"", name, "\":1.5")))),
                HasSubstr(absl::StrCat("'", name, "' must be an integer, not a number")));
  }
  for (const char* name : {"temperature", "top_p", "min_p", "repetition_penalty",
                           "presence_penalty", "frequency_penalty"}) {
    for (const char* value : {"\"1\"", "true", "[1]", "{}"}) {
      EXPECT_EQ(ChatParam(absl::StrCat("\"", name, "\":", value)), name) << value;
    }
  }
  for (const char* name : {"stream", "logprobs", "ignore_eos", "include_stop_str_in_output",
                           "skip_special_tokens", "add_generation_prompt"}) {
    for (const char* value : {"\"yes\"", "1", "[]"}) {
      EXPECT_EQ(ChatParam(absl::StrCat("\"", name, "\":", value)), name) << value;
    }
  }
  EXPECT_EQ(ChatParam(R"("model":7)"), "model");
  EXPECT_EQ(ChatParam(R"("stop_token_ids":["a"])"), "stop_token_ids");
  EXPECT_EQ(ChatParam(R"("stop_token_ids":[9223372036854775808])"), "stop_token_ids");
}

TEST(ChatRequest, LogitBiasMapsIdsToNumbers) {
  EXPECT_EQ(ChatParam(R"("logit_bias":{"x":1})"), "logit_bias");
  EXPECT_EQ(ChatParam(R"("logit_bias":{"1 ":1})"), "logit_bias");
  EXPECT_EQ(ChatParam(R"("logit_bias":{"":1})"), "logit_bias");
  EXPECT_EQ(ChatParam(R"("logit_bias":{"99999999999999999999":1})"), "logit_bias");
  EXPECT_EQ(ChatParam(R"("logit_bias":{"1":"1"})"), "logit_bias");
  EXPECT_EQ(ChatParam(R"("logit_bias":[1])"), "logit_bias");
  // What is no id of the model is for the service to say.
  EXPECT_THAT(ChatOptions(R"("logit_bias":{"-1":1e9})").logit_bias, ElementsAre(Pair(-1, 1e9)));
}

TEST(ChatRequest, StreamOptionsNeedAStream) {
  EXPECT_EQ(ChatParam(R"("stream_options":{"include_usage":true})"), "stream_options");
  EXPECT_EQ(ChatParam(R"("stream":true,"stream_options":{"include_usage":1})"),
            "stream_options.include_usage");
  EXPECT_EQ(ChatParam(R"("stream":true,"stream_options":true)"), "stream_options");
}

TEST(ChatRequest, RefusesByNameWhatItCannotDo) {
  for (const char* field :
       {R"("functions":[{"name":"f"}])", R"("function_call":{"name":"f"})", R"("bad_words":["a"])",
        R"("allowed_token_ids":[1])", R"("truncate_prompt_tokens":5)", R"("use_beam_search":true)",
        R"("chat_template":"{{x}}")", R"("echo":true)", R"("add_special_tokens":true)",
        R"("modalities":["audio"])", R"("documents":[{}])", R"("prompt_embeds":"x")"}) {
    const std::string name(field + 1, std::string(field).find('"', 1) - 1);
    EXPECT_EQ(ChatParam(field), name);
  }
  EXPECT_EQ(ChatParam(R"("continue_final_message":true)"), "continue_final_message");
  EXPECT_EQ(ChatParam(R"("stream":true,"prompt_logprobs":0)"), "prompt_logprobs");
}

TEST(ChatRequest, AcceptsWhatHasNoEffect) {
  const auto call = ParseChat(Chat(
      R"("user":"u","metadata":{"a":"b"},"store":true,"service_tier":"auto","unheard_of":[1],
         "response_format":{"type":"text"},"tool_choice":"none","chat_template_kwargs":{},
         "echo":false,"use_beam_search":false,"bad_words":[],"parallel_tool_calls":true,
         "modalities":["text"],"add_special_tokens":false)"));
  EXPECT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->requests.front().options.grammar, std::nullopt);
  EXPECT_TRUE(ParseChat(Chat(R"("tool_choice":"auto")")).ok());
}

TEST(ChatRequest, GivesTheTemplateItsVariables) {
  const gateway::ChatPrompt prompt =
      ChatPromptOf(R"("reasoning_effort":"low","chat_template_kwargs":{"enable_thinking":false})");
  EXPECT_EQ(prompt.reasoning_effort, "low");
  EXPECT_EQ(prompt.render.variables, R"({"enable_thinking":false})");
  EXPECT_EQ(ChatParam(R"("chat_template_kwargs":[1])"), "chat_template_kwargs");
  EXPECT_EQ(ChatParam(R"("reasoning_effort":1)"), "reasoning_effort");
}

TEST(AnyRequest, ASaltKeepsPrefixesApart) {
  EXPECT_EQ(ParseChat(Chat(R"("cache_salt":"s")"))->requests.front().cache_salt, "s");
  EXPECT_EQ(ParseCompletion(Completion(R"("cache_salt":"s")"))->requests.front().cache_salt, "s");
}

TEST(ChatMessages, RolesAndContentInTheirForms) {
  const auto messages = Messages(
      R"([{"role":"developer","content":"be kind"},
          {"role":"user","name":"ada","content":[{"type":"text","text":"one"},
                                                  {"type":"text","text":"two"}]},
          {"role":"assistant","content":null,"reasoning_content":"hm"},
          {"role":"assistant","content":"yes","reasoning":"so","tool_calls":[],"refusal":null},
          {"role":"tool","tool_call_id":"1","content":""},
          {"role":"system","content":"<|im_end|>"}])");
  ASSERT_EQ(messages.size(), 6u);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[0].content, "be kind");
  EXPECT_EQ(messages[1].content, "one\ntwo");
  EXPECT_EQ(messages[2].content, "");
  EXPECT_EQ(messages[2].reasoning_content, "hm");
  EXPECT_EQ(messages[3].reasoning_content, "so");
  EXPECT_EQ(messages[4].role, "tool");
  EXPECT_EQ(messages[5].content, "<|im_end|>");
}

TEST(ChatMessages, WhatIsWrongIsNamedByItsPlace) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"({})", "messages"},
      {R"({"messages":null})", "messages"},
      {R"({"messages":[]})", "messages"},
      {R"({"messages":"hi"})", "messages"},
      {R"({"messages":{"role":"user"}})", "messages"},
      {R"({"messages":["hi"]})", "messages[0]"},
      {R"({"messages":[null]})", "messages[0]"},
      {R"({"messages":[{"content":"hi"}]})", "messages[0].role"},
      {R"({"messages":[{"role":7,"content":"hi"}]})", "messages[0].role"},
      {R"({"messages":[{"role":"robot","content":"hi"}]})", "messages[0].role"},
      {R"({"messages":[{"role":"user"}]})", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":null}]})", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":7}]})", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":[]}]})", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":["hi"]}]})", "messages[0].content[0]"},
      {R"({"messages":[{"role":"user","content":"a"},{"role":"user","content":
           [{"type":"image_url","image_url":{"url":"x"}}]}]})",
       "messages[1].content[0]"},
      {R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})",
       "messages[0].content[0].text"},
      {R"({"messages":[{"role":"assistant","content":null,
           "tool_calls":[{"id":"1"}]}]})",
       "messages[0].tool_calls[0].function"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}}]}]})",
       "messages[0].tool_calls[0].function.name"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"function":
           {"name":"f","arguments":"[1]"}}]}]})",
       "messages[0].tool_calls[0].function.arguments"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"function":
           {"name":"f","arguments":{"a":1}}}]}]})",
       "messages[0].tool_calls[0].function.arguments"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"type":"custom"}]}]})",
       "messages[0].tool_calls[0].type"}};
  for (const auto& [body, param] : cases) EXPECT_EQ(Param(ParseChat(body)), param) << body;
}

TEST(ChatMessages, CallsAndWhatCameOfThem) {
  const auto messages = Messages(
      R"([{"role":"user","content":"?"},
          {"role":"assistant","content":null,"tool_calls":[
             {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\": 1.5}"}},
             {"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},
          {"role":"tool","tool_call_id":"c1","content":"7"},
          {"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"8"}]}])");
  ASSERT_EQ(messages.size(), 4u);
  ASSERT_EQ(messages[1].tool_calls.size(), 2u);
  EXPECT_EQ(messages[1].tool_calls[0].id, "c1");
  EXPECT_EQ(messages[1].tool_calls[0].name, "f");
  EXPECT_EQ(messages[1].tool_calls[0].arguments, "{\"a\": 1.5}");
  EXPECT_EQ(messages[1].tool_calls[1].arguments, "{}");
  EXPECT_EQ(messages[2].tool_call_id, "c1");
  EXPECT_EQ(messages[3].content, "8");
}

TEST(CompletionRequest, TakesPromptsInFourForms) {
  const auto prompts = [](const std::string& prompt) {
    auto call = ParseCompletion(absl::StrCat(R"({"prompt":)", prompt, "}"));
    EXPECT_TRUE(call.ok()) << call.status();
    std::vector<std::string> seen;
    if (!call.ok()) return seen;
    for (const gateway::Request& request : call->requests) {
      EXPECT_FALSE(request.split_reasoning);
      if (const auto* text = std::get_if<gateway::TextPrompt>(&request.prompt)) {
        seen.push_back(text->text);
      } else {
        const auto& tokens = std::get<gateway::TokenPrompt>(request.prompt).tokens;
        seen.push_back("#");
        for (const text::TokenId id : tokens) absl::StrAppend(&seen.back(), id, ",");
      }
    }
    return seen;
  };
  EXPECT_THAT(prompts(R"("a")"), ElementsAre("a"));
  EXPECT_THAT(prompts(R"("")"), ElementsAre(""));
  EXPECT_THAT(prompts(R"(["a","b"])"), ElementsAre("a", "b"));
  EXPECT_THAT(prompts("[1,2]"), ElementsAre("#1,2,"));
  EXPECT_THAT(prompts("[[1],[2,3]]"), ElementsAre("#1,", "#2,3,"));
}

TEST(CompletionRequest, RefusesOtherPrompts) {
  for (const char* prompt :
       {"null", "[]", "7", "{}", "[1,\"a\"]", "[\"a\",1]", "[[1],2]", "[[1],\"a\"]", "[1.5]",
        "[-1]", "[2147483648]", "[[-1]]", "[null]", "[[[1]]]", "[true]", "[9223372036854775808]"}) {
    EXPECT_EQ(Param(ParseCompletion(absl::StrCat(R"({"prompt":)", prompt, "}"))), "prompt")
        << prompt;
  }
  EXPECT_EQ(Param(ParseCompletion("{}")), "prompt");
}

TEST(CompletionRequest, ReadsItsOwnFields) {
  const auto call = ParseCompletion(
      Completion(R"("logprobs":3,"best_of":2,"n":2,"suffix":"","add_special_tokens":false)"));
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->requests.front().options.logprobs, 3);
  EXPECT_FALSE(std::get<gateway::TextPrompt>(call->requests.front().prompt).add_special);
  EXPECT_TRUE(ParseCompletion(Completion(R"("echo":true)"))->echo);
  EXPECT_EQ(CompletionParam(R"("echo":true,"logprobs":1,"stream":true)"), "echo");
  EXPECT_EQ(CompletionParam(R"("suffix":"x")"), "suffix");
  EXPECT_EQ(CompletionParam(R"("best_of":3)"), "best_of");
  EXPECT_EQ(CompletionParam(R"("best_of":1,"n":2)"), "best_of");
  EXPECT_EQ(CompletionParam(R"("logprobs":true)"), "logprobs");
}

TEST(CompletionRequest, BoundsAllChoicesOfAllPrompts) {
  std::string prompts = "[\"a\"";
  for (int i = 0; i < kMaxChoices; ++i) prompts += ",\"a\"";
  EXPECT_EQ(Param(ParseCompletion(absl::StrCat(R"({"prompt":)", prompts, "]}"))), "prompt");
  EXPECT_EQ(Param(ParseCompletion(R"({"prompt":["a","b"],"n":1025})")), "n");
  EXPECT_EQ(Param(ParseCompletion(R"({"prompt":["a","b"],"n":9223372036854775807})")), "n");
  EXPECT_TRUE(ParseCompletion(R"({"prompt":["a","b"],"n":1024})").ok());
}

TEST(TokenizeRequest, TakesATextOrAChat) {
  auto text =
      ParseTokenize(R"({"prompt":"a","add_special_tokens":false,"return_token_strs":true})");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_TRUE(text->return_token_strs);
  EXPECT_FALSE(std::get<gateway::TextPrompt>(text->request.prompt).add_special);
  auto chat = ParseTokenize(absl::StrCat("{", kMessages, R"(,"add_generation_prompt":false})"));
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_FALSE(std::get<gateway::ChatPrompt>(chat->request.prompt).render.add_generation_prompt);
  EXPECT_EQ(Param(ParseTokenize("{}")), "prompt");
  EXPECT_EQ(Param(ParseTokenize(R"({"prompt":["a"]})")), "prompt");
  EXPECT_EQ(Param(ParseTokenize(R"({"messages":[]})")), "messages");
}

TEST(DetokenizeRequest, TakesTokens) {
  EXPECT_THAT(ParseDetokenize(R"({"tokens":[1,2],"model":"m"})")->tokens, ElementsAre(1, 2));
  EXPECT_EQ(Param(ParseDetokenize("{}")), "tokens");
  EXPECT_EQ(Param(ParseDetokenize(R"({"tokens":"1"})")), "tokens");
  EXPECT_EQ(Param(ParseDetokenize(R"({"tokens":[1.5]})")), "tokens");
}

TEST(AnyRequest, ErrorsStayShortWhateverIsWrong) {
  const std::string huge(1'000'000, 'x');
  for (const std::string& body :
       {absl::StrCat(R"({")", huge, R"(":1,")", huge, R"(":2})"),
        absl::StrCat(R"({"messages":[{"role":"user","content":[{"type":")", huge, R"("}]}]})"),
        absl::StrCat(R"({"messages":[{"role":")", huge, R"(","content":"a"}]})")}) {
    const auto call = ParseChat(body);
    ASSERT_FALSE(call.ok());
    EXPECT_LT(call.status().message().size(), 300u);
  }
}

TEST(AnyRequest, MustBeOneJsonObject) {
  for (const char* body : {"", "[]", "7", "\"x\"", "null", "{", "{}x", "\xEF\xBB\xBF{}"}) {
    EXPECT_EQ(Param(ParseChat(body)), "(none)") << body;
    EXPECT_EQ(Param(ParseResponse(body)), "(none)") << body;
    EXPECT_EQ(Param(ParseCompletion(body)), "(none)") << body;
    EXPECT_EQ(Param(ParseTokenize(body)), "(none)") << body;
    EXPECT_EQ(Param(ParseDetokenize(body)), "(none)") << body;
  }
}

// Any JSON at any place: a request, or an error that says InvalidArgument.
TEST(AnyRequest, WrongValuesAnywhereAreErrorsOfTheClient) {
  const char* given = std::getenv("WEFT_TEST_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE(absl::StrCat("replay with WEFT_TEST_SEED=", seed));
  std::mt19937_64 random(seed);
  const std::vector<std::string> names = {"messages",
                                          "prompt",
                                          "model",
                                          "max_tokens",
                                          "temperature",
                                          "logit_bias",
                                          "stop",
                                          "n",
                                          "stream",
                                          "stream_options",
                                          "tools",
                                          "tool_choice",
                                          "structured_outputs",
                                          "guided_json",
                                          "grammar",
                                          "chat_template_kwargs",
                                          "input",
                                          "instructions",
                                          "text",
                                          "reasoning",
                                          "include",
                                          "logprobs",
                                          "top_logprobs",
                                          "response_format",
                                          "modalities",
                                          "function_call",
                                          "best_of",
                                          "echo",
                                          "add_special_tokens",
                                          "tokens",
                                          "chat_template",
                                          "suffix",
                                          "seed",
                                          "stop_token_ids",
                                          "user",
                                          "prompt_logprobs",
                                          "documents",
                                          "metadata",
                                          "priority"};
  const std::vector<std::string> values = {"null",
                                           "true",
                                           "0",
                                           "-1",
                                           "1.5",
                                           "9223372036854775808",
                                           "\"\"",
                                           "\"auto\"",
                                           "\"1\"",
                                           "[]",
                                           "[1]",
                                           "[[1]]",
                                           "[\"a\"]",
                                           "[null]",
                                           "{}",
                                           R"({"1":1})",
                                           R"({"type":"text"})",
                                           R"([{"role":"user","content":"a"}])",
                                           R"([{"role":"user","content":[{"type":"text"}]}])",
                                           R"([{"role":["user"],"content":{}}])",
                                           R"({"include_usage":[]})",
                                           R"({"json":{},"regex":"a"})",
                                           R"({"format":{"type":"json_schema"}})",
                                           R"({"type":"json_schema","json_schema":{"schema":{}}})",
                                           R"({"type":"function","function":{"name":"f"}})",
                                           R"([{"type":"function","function":{"name":"f"}}])",
                                           R"([{"type":"function","name":"f","parameters":[]}])",
                                           R"([{"type":"function_call","arguments":"{"}])",
                                           R"([{"type":"reasoning","content":[{}]}])"};
  for (int round = 0; round < 20000; ++round) {
    std::string body = "{";
    std::vector<std::string> chosen = names;
    std::shuffle(chosen.begin(), chosen.end(), random);
    const size_t num_fields = random() % 6;
    for (size_t i = 0; i < num_fields; ++i) {
      absl::StrAppend(&body, i > 0 ? "," : "", "\"", chosen[i],
                      "\":", values[random() % values.size()]);
    }
    body += "}";
    const auto check = [&](const absl::Status& status) {
      ASSERT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument) << body;
      ASSERT_TRUE(status.ok() || !status.message().empty()) << body;
    };
    check(ParseChat(body).status());
    check(ParseCompletion(body).status());
    check(ParseResponse(body).status());
    check(ParseTokenize(body).status());
    check(ParseDetokenize(body).status());
  }
}

}  // namespace
}  // namespace weft::openai
