#include "gateway/openai/api.h"

#include <boost/json/parse.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/http/http_metrics.h"
#include "gateway/http/raw_client.h"
#include "gateway/openai/scripted_service.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::openai {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
namespace json = boost::json;

constexpr char kHello[] = R"({"messages":[{"role":"user","content":"hello"}]})";
constexpr char kHelloStream[] = R"({"stream":true,"messages":[{"role":"user","content":"hello"}]})";

// The whole path from a socket to a scripted service.
struct ApiTest : ::testing::Test {
  void SetUp() override { StartServer(); }

  void StartServer() {
    http::HttpOptions options{.host = "127.0.0.1", .port = 0, .threads = 2};
    options.stall_timeout_s = 0.5;
    ConfigureHttp(options);
    auto started = http::HttpServer::Start(options, metrics, api.handler());
    ASSERT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
    client = std::make_unique<http::RawClient>(server->port());
  }

  static std::string Post(const std::string& path, const std::string& body,
                          const std::string& headers = "") {
    return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n",
                        headers, "Content-Length: ", body.size(), "\r\n\r\n", body);
  }
  std::string Ask(const std::string& path, const std::string& body) {
    client->Send(Post(path, body));
    return client->ReadAnswer();
  }
  std::string Get(const std::string& path, const std::string& method = "GET") {
    client->Send(absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: a\r\n\r\n"));
    return client->ReadAnswer();
  }
  static json::value Body(const std::string& answer) {
    const size_t body = answer.find("\r\n\r\n");
    if (body == std::string::npos) return nullptr;
    return json::parse(answer.substr(body + 4));
  }
  // The data of a stream's frames, chunked coding undone.
  static std::vector<std::string> Frames(const std::string& answer) {
    std::string body;
    size_t at = answer.find("\r\n\r\n") + 4;
    while (at < answer.size()) {
      const size_t size = std::stoul(answer.substr(at), nullptr, 16);
      at = answer.find("\r\n", at) + 2;
      body += answer.substr(at, size);
      at += size + 2;
      if (size == 0) break;
    }
    std::vector<std::string> frames;
    for (size_t begin = 0; begin < body.size();) {
      const size_t end = body.find("\n\n", begin);
      if (end == std::string::npos || body.substr(begin, 6) != "data: ") {
        ADD_FAILURE() << "no frame: " << body.substr(begin);
        break;
      }
      frames.push_back(body.substr(begin + 6, end - begin - 6));
      begin = end + 2;
    }
    return frames;
  }
  std::string ReadStream() { return client->ReadUntil("\r\n0\r\n\r\n"); }

  Metrics metrics{"gateway"};
  ScriptedService service;
  Api api{service};
  std::unique_ptr<http::HttpServer> server;
  std::unique_ptr<http::RawClient> client;
};

TEST_F(ApiTest, ChatAnswersWhole) {
  service.play = [](Script& script) {
    script.Push(gateway::Delta{.content = "Hi", .reasoning = "hm", .num_tokens = 2});
    script.Text(" you");
    script.Finish();
    script.Complete(5, 3);
  };
  const std::string answer = Ask("/v1/chat/completions", kHello);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
  const json::value body = Body(answer);
  EXPECT_EQ(body.at("object"), "chat.completion");
  EXPECT_EQ(body.at("model"), "demo");
  const json::value& choice = body.at("choices").at(0);
  EXPECT_EQ(choice.at("message").at("content"), "Hi you");
  EXPECT_EQ(choice.at("message").at("reasoning_content"), "hm");
  EXPECT_EQ(choice.at("message").at("reasoning"), "hm");
  EXPECT_EQ(choice.at("finish_reason"), "stop");
  EXPECT_EQ(body.at("usage").at("total_tokens"), 8);
  EXPECT_EQ(service.request().options.max_tokens, std::nullopt);
  EXPECT_TRUE(service.request().split_reasoning);
}

TEST_F(ApiTest, AWholeAnswerWaitsForEventsThatComeApart) {
  client->Send(Post("/v1/chat/completions", kHello));
  const auto script = service.script();
  for (const char* word : {"one", " two", " three"}) {
    script->Text(word);
    while (script->num_waiting() > 0) std::this_thread::yield();
  }
  script->Finish();
  script->Complete(5, 3);
  const json::value body = Body(client->ReadAnswer());
  EXPECT_EQ(body.at("choices").at(0).at("message").at("content"), "one two three");
}

TEST_F(ApiTest, ChatStreamsEachDeltaAsItComes) {
  client->Send(Post("/v1/chat/completions", kHelloStream));
  const auto script = service.script();
  script->Text("one");
  const std::string first = client->ReadUntil("\"one\"");
  EXPECT_THAT(first, AllOf(HasSubstr("Content-Type: text/event-stream"),
                           HasSubstr("Cache-Control: no-cache, no-transform\r\n"),
                           HasSubstr("X-Accel-Buffering: no\r\n"),
                           HasSubstr("Transfer-Encoding: chunked\r\n"),
                           HasSubstr("\"role\":\"assistant\"")));
  script->Text("two");
  script->Finish();
  script->Complete();
  const std::string rest = ReadStream();
  EXPECT_THAT(rest, HasSubstr("\"two\""));
  const std::vector<std::string> frames = Frames(first + rest);
  ASSERT_EQ(frames.size(), 5u);
  EXPECT_EQ(json::parse(frames[0]).at("choices").at(0).at("delta").at("role"), "assistant");
  EXPECT_EQ(json::parse(frames[3]).at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(frames[4], "[DONE]");
  EXPECT_THAT(rest, Not(HasSubstr("usage")));
}

TEST_F(ApiTest, NothingIsSentBeforeTheFirstToken) {
  client->Send(Post("/v1/chat/completions", kHelloStream));
  const auto script = service.script();
  EXPECT_EQ(client->ReadUntil("HTTP", 100), "");
  script->Push(gateway::Failed{absl::UnavailableError("no worker"), absl::Milliseconds(2500)});
  const std::string answer = client->ReadAnswer();
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After: 3\r\n"),
                            HasSubstr("retry-after-ms: 2500\r\n"),
                            HasSubstr("Content-Type: application/json"), HasSubstr("no worker")));
}

TEST_F(ApiTest, AStreamThatFailsEndsInAnErrorFrameAndDone) {
  client->Send(Post("/v1/chat/completions", kHelloStream));
  const auto script = service.script();
  script->Text("one");
  const std::string first = client->ReadUntil("\"one\"");
  script->Push(gateway::Failed{absl::InternalError("worker lost"), {}});
  const std::vector<std::string> frames = Frames(first + ReadStream());
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(json::parse(frames[2]).at("error").at("message"), "worker lost");
  EXPECT_EQ(frames[3], "[DONE]");
  // The connection is as good as before.
  EXPECT_THAT(Get("/health"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ApiTest, UsageComesWhenAskedFor) {
  client->Send(Post("/v1/chat/completions",
                    R"({"stream":true,"stream_options":{"include_usage":true},
                        "messages":[{"role":"user","content":"hello"}]})"));
  const auto script = service.script();
  script->Text("x");
  script->Finish();
  script->Complete(7, 1);
  const std::vector<std::string> frames = Frames(ReadStream());
  ASSERT_EQ(frames.size(), 5u);
  EXPECT_TRUE(json::parse(frames[1]).at("usage").is_null());
  const json::value usage = json::parse(frames[3]);
  EXPECT_TRUE(usage.at("choices").as_array().empty());
  EXPECT_EQ(usage.at("usage").at("prompt_tokens"), 7);
  EXPECT_EQ(usage.at("usage").at("total_tokens"), 8);
}

TEST_F(ApiTest, ContinuousUsageCountsUp) {
  client->Send(Post("/v1/completions",
                    R"({"stream":true,"prompt":"p","stream_options":
                        {"include_usage":true,"continuous_usage_stats":true}})"));
  const auto script = service.script();
  script->Text("a");
  script->Text("b");
  script->Finish();
  script->Complete(3, 2);
  const std::vector<std::string> frames = Frames(ReadStream());
  ASSERT_EQ(frames.size(), 5u);
  EXPECT_EQ(json::parse(frames[0]).at("usage").at("completion_tokens"), 1);
  EXPECT_EQ(json::parse(frames[1]).at("usage").at("completion_tokens"), 2);
}

TEST_F(ApiTest, SeveralPromptsAreChoicesOfOneAnswer) {
  client->Send(Post("/v1/completions", R"({"prompt":["a","b"],"n":2,"echo":true})"));
  const auto first = service.script(0);
  const auto second = service.script(1);
  second->Text("4", 1);
  second->Text("3", 0);
  first->Text("1", 0);
  first->Text("2", 1);
  for (const auto& script : {first, second}) {
    script->Finish(0);
    script->Finish(1);
    script->Complete(3, 2);
  }
  const json::value body = Body(client->ReadAnswer());
  const std::vector<std::string> texts = {"a1", "a2", "b3", "b4"};
  ASSERT_EQ(body.at("choices").as_array().size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(body.at("choices").at(i).at("index"), i);
    EXPECT_EQ(body.at("choices").at(i).at("text"), json::string(texts[i]));
  }
  EXPECT_EQ(body.at("usage").at("prompt_tokens"), 6);
  EXPECT_EQ(body.at("usage").at("completion_tokens"), 4);
}

TEST_F(ApiTest, OneRefusedPromptRefusesAllAndCancelsTheOthers) {
  service.refusal = absl::InvalidArgumentError("too long");
  service.num_accepted = 1;
  EXPECT_THAT(Ask("/v1/completions", R"({"prompt":["a","b"]})"), StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(service.script(0)->WaitCancelled());
}

TEST_F(ApiTest, WhatTheServiceRefusesKeepsItsFieldAndCode) {
  service.refusal = absl::InvalidArgumentError("too long");
  service.refusal.SetPayload(gateway::kParamPayload, absl::Cord("messages"));
  service.refusal.SetPayload(gateway::kCodePayload, absl::Cord("context_length_exceeded"));
  const std::string answer = Ask("/v1/chat/completions", kHello);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 "));
  const json::value error = Body(answer).at("error");
  EXPECT_EQ(error.at("param"), "messages");
  EXPECT_EQ(error.at("code"), "context_length_exceeded");
}

TEST_F(ApiTest, AResponseIsAnsweredWholeAndInEvents) {
  service.play = [](Script& script) {
    script.Push(gateway::Delta{.content = "Hi", .reasoning = "hm", .num_tokens = 2});
    script.Finish();
    script.Complete(5, 3);
  };
  const json::value body = Body(Ask("/v1/responses", R"({"input":"hello"})"));
  EXPECT_EQ(body.at("object"), "response");
  EXPECT_EQ(body.at("output").at(1).at("content").at(0).at("text"), "Hi");
  client->Send(Post("/v1/responses", R"({"input":"hello","stream":true})"));
  EXPECT_THAT(ReadStream(),
              AllOf(HasSubstr("event: response.created\ndata: "),
                    HasSubstr("event: response.completed\ndata: "), Not(HasSubstr("[DONE]"))));
}

TEST_F(ApiTest, NoResponseIsStored) {
  for (const char* method : {"GET", "DELETE", "POST"}) {
    EXPECT_THAT(Get("/v1/responses/resp_1", method),
                AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("stores no responses")));
  }
}

// A client that leaves, at every stage of its request.
struct DisconnectTest : ApiTest {};

TEST_F(DisconnectTest, WhileQueuedCancels) {
  client->Send(Post("/v1/chat/completions", kHelloStream));
  const auto script = service.script();
  client->Close();
  EXPECT_TRUE(script->WaitCancelled(1000));
}

TEST_F(DisconnectTest, WhileWaitingForAWholeAnswerCancels) {
  client->Send(Post("/v1/chat/completions", kHello));
  const auto script = service.script();
  script->Text("some");
  client->Close();
  EXPECT_TRUE(script->WaitCancelled(1000));
}

TEST_F(DisconnectTest, WhileStreamingCancels) {
  client->Send(Post("/v1/chat/completions", kHelloStream));
  const auto script = service.script();
  script->Text("one");
  client->ReadUntil("\"one\"");
  client->Reset();
  EXPECT_TRUE(script->WaitCancelled(1000));
  server->WaitIdle(absl::Seconds(2));
  EXPECT_THAT(metrics.Text(), HasSubstr("weft_gateway_http_requests_total{code=\"499\","
                                        "route=\"/v1/chat/completions\"} 1"));
}

TEST_F(DisconnectTest, BeforeTheStartIsAnsweredCancelsWhatStarts) {
  service.hold_starts = true;
  client->Send(Post("/v1/chat/completions", kHello));
  service.request();
  client->Close();
  ASSERT_TRUE(server->WaitIdle(absl::Seconds(2)));
  service.Release();
  EXPECT_TRUE(service.script()->WaitCancelled(1000));
}

TEST_F(DisconnectTest, BetweenTheStartsOfSeveralPromptsCancelsThemAll) {
  service.hold_starts = true;
  client->Send(Post("/v1/completions", R"({"prompt":["a","b"]})"));
  service.Release();
  client->Close();
  EXPECT_TRUE(service.script(0)->WaitCancelled(1000));
  service.Release();
  EXPECT_TRUE(service.script(1)->WaitCancelled(1000));
}

TEST_F(ApiTest, AReaderThatTakesNothingIsCutOff) {
  client = std::make_unique<http::RawClient>(server->port(), 4096);
  client->Send(Post("/v1/chat/completions", kHelloStream));
  const auto script = service.script();
  // More than the kernel keeps for a reader that never reads.
  for (int i = 0; i < 64; ++i) {
    script->Text(std::string(256 << 10, 'x'));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(script->WaitCancelled(5000));
}

TEST_F(ApiTest, ASlowReaderGetsFewerLargerChunksAndEveryByte) {
  client->Send(Post("/v1/chat/completions", kHelloStream));
  const auto script = service.script();
  constexpr int kDeltas = 20000;
  for (int i = 0; i < kDeltas; ++i) script->Text(absl::StrCat(i, ";"));
  script->Finish();
  script->Complete();
  const std::vector<std::string> frames = Frames(ReadStream());
  std::string text;
  for (const std::string& frame : frames) {
    if (frame == "[DONE]") continue;
    const json::value chunk = json::parse(frame);
    const json::object& delta = chunk.at("choices").at(0).at("delta").as_object();
    if (delta.contains("content")) text += delta.at("content").as_string().c_str();
  }
  std::string expected;
  for (int i = 0; i < kDeltas; ++i) absl::StrAppend(&expected, i, ";");
  EXPECT_EQ(text, expected);
}

TEST_F(ApiTest, LargeBodiesAreReadOffTheNetworkThreads) {
  service.play = [](Script& script) {
    script.Finish();
    script.Complete();
  };
  const std::string long_text(200'000, 'a');
  const std::string answer =
      Ask("/v1/chat/completions",
          absl::StrCat(R"({"messages":[{"role":"user","content":")", long_text, R"("}]})"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(std::get<gateway::ChatPrompt>(service.request().prompt).messages[0].content.size(),
            long_text.size());
}

TEST_F(ApiTest, ListsAndFindsModels) {
  const json::value list = Body(Get("/v1/models"));
  EXPECT_EQ(list.at("object"), "list");
  EXPECT_EQ(list.at("data").at(0).at("id"), "demo");
  EXPECT_EQ(list.at("data").at(0).at("max_model_len"), 2048);
  EXPECT_EQ(Body(Get("/v1/models/demo")).at("object"), "model");
  EXPECT_EQ(Body(Get("/v1/models/d%65mo")).at("id"), "demo");
  const std::string missing = Get("/v1/models/..%2Fetc");
  EXPECT_THAT(missing, StartsWith("HTTP/1.1 404"));
  EXPECT_EQ(Body(missing).at("error").at("code"), "model_not_found");
}

TEST_F(ApiTest, TokenizesAndBack) {
  const json::value tokens = Body(Ask("/tokenize", R"({"prompt":"ab","return_token_strs":true})"));
  EXPECT_EQ(tokens.at("count"), 3);
  EXPECT_EQ(tokens.at("max_model_len"), 2048);
  EXPECT_EQ(tokens.at("tokens"), json::parse("[1000,97,98]"));
  EXPECT_EQ(tokens.at("token_strs"), json::parse(R"(["<bos>","a","b"])"));
  EXPECT_EQ(Body(Ask("/tokenize", R"({"prompt":"ab","add_special_tokens":false})")).at("tokens"),
            json::parse("[97,98]"));
  EXPECT_EQ(Body(Ask("/tokenize", kHello)).at("count"), 1);
  EXPECT_EQ(Body(Ask("/detokenize", R"({"tokens":[97,98]})")).at("prompt"), "ab");
  EXPECT_THAT(Ask("/detokenize", R"({"tokens":[-1]})"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("/detokenize", R"({"tokens":[1.5]})"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("/tokenize", R"({"model":"other","prompt":"a"})"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask("/tokenize", R"({})"), StartsWith("HTTP/1.1 400"));
}

TEST_F(ApiTest, TellsOfTheTokenizer) {
  EXPECT_EQ(Body(Get("/tokenizer_info")).at("eos_token"), "<eos>");
  EXPECT_EQ(Body(Get("/tokenizer_info?x=y&model=demo%201")).at("eos_token"), "<eos>");
  EXPECT_EQ(Body(Get("/tokenizer_info?model=demo+1&models=b")).at("eos_token"), "<eos>");
  EXPECT_THAT(Get("/tokenizer_info?model=other"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get("/tokenizer_info?model=%zz"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask("/tokenizer_info", "{}"), StartsWith("HTTP/1.1 405"));
}

TEST_F(ApiTest, HealthFollowsTheService) {
  EXPECT_THAT(Get("/health"), StartsWith("HTTP/1.1 200"));
  service.ready = absl::UnavailableError("no worker yet");
  EXPECT_THAT(Get("/health"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After"), HasSubstr("no worker")));
  EXPECT_FALSE(Body(Get("/version")).at("version").as_string().empty());
}

TEST_F(ApiTest, WrongPathMethodAndTypeAreToldApart) {
  const std::string missing = Get("/v2/chat");
  EXPECT_THAT(missing, StartsWith("HTTP/1.1 404"));
  EXPECT_EQ(Body(missing).at("error").at("code"), "unknown_url");
  EXPECT_THAT(Get("/v1/chat/completions"),
              AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: POST, OPTIONS\r\n")));
  EXPECT_THAT(Get("/v1/models", "DELETE"), StartsWith("HTTP/1.1 405"));
  client->Send(
      "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n"
      "Content-Length: 2\r\n\r\n{}");
  EXPECT_THAT(client->ReadAnswer(), StartsWith("HTTP/1.1 415"));
  client->Send(
      "POST /v1/completions HTTP/1.1\r\nHost: a\r\n"
      "Content-Type: application/json; charset=utf-16\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_THAT(client->ReadAnswer(), StartsWith("HTTP/1.1 415"));
}

TEST_F(ApiTest, APageForPeopleStandsAtTheRoot) {
  const std::string page = Get("/");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(page, HasSubstr("Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_THAT(page, HasSubstr("Content-Security-Policy: default-src 'none'; "));
  EXPECT_THAT(page, HasSubstr("<!doctype html>"));
  EXPECT_THAT(Get("/playground/main.js"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Get("/playground/none.js"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get("/", "POST"), AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD")));
  client->Send("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n");
  EXPECT_THAT(client->ReadUntil("\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 304 Not Modified\r\n"), Not(HasSubstr("Content-Length"))));
}

TEST_F(ApiTest, ThePageCanBeSwitchedOff) {
  Api without(service, {.has_playground = false});
  for (const char* path : {"/", "/playground/main.js"}) {
    http::HttpRequest request{.method = "GET", .path = path};
    EXPECT_EQ(without.handler()(request, [] {}).route, http::kOtherRoute);
  }
}

TEST_F(ApiTest, HeadHasNoBodyAndOptionsServesBrowsers) {
  client->Send(
      "HEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\nGET /version HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string both = client->ReadUntil("version\"");
  EXPECT_THAT(both, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(both, Not(HasSubstr("\"list\"")));
  client->Send(
      "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
      "Access-Control-Request-Headers: authorization,x-stainless-os\r\n\r\n");
  EXPECT_THAT(client->ReadUntil("\r\n\r\n"),
              AllOf(HasSubstr("HTTP/1.1 204"), HasSubstr("Access-Control-Allow-Origin: *\r\n"),
                    HasSubstr("Access-Control-Allow-Headers: authorization,x-stainless-os\r\n"),
                    HasSubstr("Access-Control-Allow-Methods: POST, OPTIONS\r\n")));
}

TEST_F(ApiTest, RequestIdsAreHonouredIfTheyAreFit) {
  service.play = [](Script& script) {
    script.Finish();
    script.Complete();
  };
  client->Send(Post("/v1/chat/completions", kHello, "X-Request-Id: abc-1\r\n"));
  EXPECT_THAT(client->ReadAnswer(),
              AllOf(HasSubstr("x-request-id: abc-1\r\n"), HasSubstr("\"id\":\"chatcmpl-abc-1\"")));
  client->Send(Post("/v1/chat/completions", kHello, "X-Request-Id: a b\"\r\n"));
  EXPECT_THAT(client->ReadAnswer(), Not(HasSubstr("a b")));
}

TEST_F(ApiTest, RoutesAreCountedByTemplate) {
  Get("/v1/models/one");
  Get("/v1/models/two");
  Get("/nowhere/1");
  client->Close();
  ASSERT_TRUE(server->WaitIdle(absl::Seconds(2)));
  EXPECT_THAT(metrics.Text(),
              AllOf(HasSubstr("weft_gateway_http_requests_total{code=\"404\","
                              "route=\"/v1/models/{id}\"} 2"),
                    HasSubstr("weft_gateway_http_requests_total{code=\"404\",route=\"other\"} 1"),
                    HasSubstr("weft_gateway_http_request_duration_seconds_count"
                              "{route=\"/v1/models/{id}\"} 2")));
}

// ---- access ----

struct GuardedApiTest : ApiTest {
  void SetUp() override {
    access = auth::Access::Start({.api_keys = {"key"}}, metrics).value_or(nullptr);
    ASSERT_NE(access, nullptr);
    cors = *Cors::Parse({"https://a.example"});
    guarded = std::make_unique<Api>(
        service, ApiOptions{.tenant_header = "x-tenant", .access = access.get(), .cors = cors});
    http::HttpOptions options{.host = "127.0.0.1", .port = 0, .threads = 1};
    ConfigureHttp(options, cors);
    server = *http::HttpServer::Start(options, metrics, guarded->handler());
    client = std::make_unique<http::RawClient>(server->port());
  }
  void TearDown() override { server.reset(); }

  std::unique_ptr<auth::Access> access;
  Cors cors;
  std::unique_ptr<Api> guarded;
};

TEST_F(GuardedApiTest, EveryRouteButHealthAsksForAKey) {
  for (const char* path : {"/v1/models", "/v1/models/demo", "/version", "/tokenizer_info",
                           "/v1/chat/completions", "/tokenize", "/nowhere"}) {
    const std::string answer = Get(path);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 401 ")) << path;
    EXPECT_THAT(answer, HasSubstr("WWW-Authenticate: Bearer\r\n"));
    EXPECT_EQ(Body(answer).at("error").at("code"), "invalid_api_key");
  }
  EXPECT_THAT(Get("/health"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(service.num_started(), 0);
}

TEST_F(GuardedApiTest, AKeyWithoutATenantLeavesItToTheHeader) {
  client->Send(
      Post("/v1/chat/completions", kHello, "Authorization: Bearer key\r\nX-Tenant: t\r\n"));
  EXPECT_EQ(service.request().tenant, "t");
  EXPECT_NE(service.request().permit, nullptr);
}

TEST_F(GuardedApiTest, OneOriginIsEchoedAndOthersAreNot) {
  const auto ask = [this](const char* method, const std::string& origin) {
    client->Send(
        absl::StrCat(method, " /v1/models HTTP/1.1\r\nHost: a\r\nOrigin: ", origin, "\r\n\r\n"));
    return std::string_view(method) == "OPTIONS" ? client->ReadUntil("\r\n\r\n")
                                                 : client->ReadAnswer();
  };
  for (const char* method : {"OPTIONS", "GET"}) {
    EXPECT_THAT(ask(method, "https://a.example"),
                AllOf(HasSubstr("Access-Control-Allow-Origin: https://a.example\r\n"),
                      HasSubstr("Vary: Origin\r\n")));
    EXPECT_THAT(ask(method, "https://b.example"),
                AllOf(Not(HasSubstr("Access-Control-Allow")), HasSubstr("Vary: Origin\r\n")));
  }
}

TEST(Cors, TakesOriginsAsBrowsersWriteThem) {
  EXPECT_TRUE(Cors::Parse({"https://a.example:8443,http://localhost", "https://b.example"}).ok());
  EXPECT_EQ(Cors::Parse({"none"})->CommonHeaders(), "");
  EXPECT_THAT(Cors::Parse({"*"})->CommonHeaders(), HasSubstr("Allow-Origin: *\r\n"));
  for (const char* bad : {"", "a.example", "https://", "https://a.example/", "https://*.example",
                          "HTTPS://a.example", "*,https://a.example", "none,*", "https://a b"}) {
    EXPECT_FALSE(Cors::Parse({bad}).ok()) << bad;
  }
}

}  // namespace
}  // namespace weft::openai
