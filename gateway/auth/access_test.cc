#include "gateway/auth/access.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::auth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Entry(const std::string& name, const std::string& key, const std::string& more = "") {
  return absl::StrCat(R"({"name":")", name, R"(","key":")", KeyHash::Of(key).ToString(), "\"", more,
                      "}");
}

struct AccessTest : ::testing::Test {
  AccessTest() : path(absl::StrCat(::testing::TempDir(), "/keys", getpid(), ".json")) {}
  ~AccessTest() override { std::filesystem::remove(path); }

  // As an editor saves: another file of that name.
  void WriteKeys(const std::string& keys) { WriteFile(absl::StrCat(R"({"keys":[)", keys, "]}")); }
  void WriteFile(const std::string& text) {
    std::ofstream(path + ".new") << text;
    std::filesystem::rename(path + ".new", path);
  }
  void Start(std::vector<std::string> api_keys, bool with_file = false) {
    auto started = Access::Start({.api_keys = std::move(api_keys),
                                  .api_key_file = with_file ? path : "",
                                  .reload_interval = milliseconds(2)},
                                 metrics, [this] { return now; });
    ASSERT_TRUE(started.ok()) << started.status();
    access = *std::move(started);
  }
  std::shared_ptr<const Caller> Find(const std::string& key) {
    auto caller = access->Identify("Bearer " + key, "");
    return caller.ok() ? *caller : nullptr;
  }
  bool WaitFor(const std::string& metric) {
    for (int i = 0; i < 2000; ++i) {
      if (metrics.Text().find(metric) != std::string::npos) return true;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return false;
  }

  const std::string path;
  Time now{seconds(1'000'000)};
  Metrics metrics{"gateway"};
  std::unique_ptr<Access> access;
};

TEST_F(AccessTest, WithoutKeysNobodyIsAsked) {
  Start({});
  EXPECT_TRUE(access->is_open());
  for (const char* header : {"", "Bearer x", "nonsense"}) {
    const auto caller = access->Identify(header, "");
    ASSERT_TRUE(caller.ok());
    EXPECT_EQ(*caller, nullptr);
  }
}

TEST_F(AccessTest, KeysOfTheCommandLineMayDoEverything) {
  Start({"one,two", "three"});
  EXPECT_FALSE(access->is_open());
  for (const char* key : {"one", "two", "three"}) {
    const auto caller = Find(key);
    ASSERT_NE(caller, nullptr) << key;
    EXPECT_EQ(caller->entry().tenant, std::nullopt);
    EXPECT_TRUE(caller->entry().models.empty());
  }
  for (const char* key : {"", "on", "one,two", "onex", "One", "four"}) {
    EXPECT_EQ(Find(key), nullptr) << key;
  }
}

TEST_F(AccessTest, AKeyComesAsABearerTokenOrAlone) {
  Start({"key"});
  EXPECT_TRUE(access->Identify("Bearer key", "").ok());
  EXPECT_TRUE(access->Identify("bearer   key ", "").ok());
  EXPECT_TRUE(access->Identify("", "key").ok());
  const auto fails = [this](const char* authorization, const char* api_key, const char* message) {
    const auto caller = access->Identify(authorization, api_key);
    ASSERT_EQ(caller.status().code(), absl::StatusCode::kUnauthenticated);
    EXPECT_THAT(std::string(caller.status().message()), HasSubstr(message));
    EXPECT_EQ(caller.status().GetPayload(gateway::kCodePayload), absl::Cord("invalid_api_key"));
    EXPECT_THAT(std::string(caller.status().message()), Not(HasSubstr("wrong")));  // no echo
  };
  fails("", "", "didn't provide");
  fails("Bearer ", "", "didn't provide");
  fails("Basic a2V5", "", "Bearer");
  fails("key", "", "Bearer");
  fails("Bearer wrong", "", "Incorrect");
  fails("", "wrong", "Incorrect");
  fails("Bearer wrong", "key", "Incorrect");  // two that differ: the first counts
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("weft_gateway_auth_failures_total{reason=\"missing\"} 2"));
  EXPECT_THAT(text, HasSubstr("weft_gateway_auth_failures_total{reason=\"malformed\"} 2"));
  EXPECT_THAT(text, HasSubstr("weft_gateway_auth_failures_total{reason=\"unknown\"} 3"));
}

TEST_F(AccessTest, BadKeysAndFilesAreRefusedAtTheStart) {
  for (const char* bad : {"", "a b", "a,,b", "a,"}) {
    EXPECT_FALSE(Access::Start({.api_keys = {bad}}, metrics).ok()) << bad;
  }
  const auto missing = Access::Start({.api_key_file = "/nowhere/keys"}, metrics);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("--api-key-file: /nowhere/keys"));
  WriteFile("{");
  EXPECT_FALSE(Access::Start({.api_key_file = path}, metrics).ok());
}

TEST_F(AccessTest, AFileWithoutKeysLetsNobodyIn) {
  WriteKeys("");
  Start({}, true);
  EXPECT_FALSE(access->is_open());
  EXPECT_EQ(Find("x"), nullptr);
}

TEST_F(AccessTest, ANewFileTakesTheOldOnesPlaceAndABrokenOneDoesNot) {
  WriteKeys(Entry("alice", "a"));
  Start({"fixed"}, true);
  EXPECT_NE(Find("a"), nullptr);
  WriteKeys(Entry("bob", "b"));
  ASSERT_TRUE(WaitFor("weft_gateway_api_key_reloads_total{result=\"ok\"} 1"));
  EXPECT_EQ(Find("a"), nullptr);
  EXPECT_NE(Find("b"), nullptr);
  WriteFile("{\"keys\": [{}]}");
  ASSERT_TRUE(WaitFor("weft_gateway_api_key_reloads_total{result=\"error\"} 1"));
  EXPECT_NE(Find("b"), nullptr);
  std::filesystem::remove(path);
  ASSERT_TRUE(WaitFor("weft_gateway_api_key_reloads_total{result=\"error\"} 2"));
  EXPECT_NE(Find("b"), nullptr);
  EXPECT_NE(Find("fixed"), nullptr);
  EXPECT_THAT(metrics.Text(), HasSubstr("weft_gateway_api_keys 2"));
}

TEST_F(AccessTest, AKeyKeepsWhatItHasUsedWhenItsEntryChanges) {
  WriteKeys(Entry("alice", "a", R"(,"requests_per_minute":2)"));
  Start({}, true);
  const auto running = Find("a")->Enter();
  ASSERT_TRUE(running.ok());
  WriteKeys(Entry("alice", "a", R"(,"requests_per_minute":3,"max_concurrent_requests":2)"));
  ASSERT_TRUE(WaitFor("weft_gateway_api_key_reloads_total{result=\"ok\"} 1"));
  const auto second = Find("a")->Enter();
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(Find("a")->Enter().ok()) << "the one of before the change runs on";
}

TEST_F(AccessTest, ALimitSaysWhichAndWhenToComeBack) {
  WriteKeys(absl::StrCat(Entry("alice", "a", R"(,"requests_per_minute":1,"tenant":"math")"), ",",
                         Entry("bob", "b", R"(,"tokens_per_minute":600)"), ",",
                         Entry("eve", "e", R"(,"max_concurrent_requests":1)")));
  Start({}, true);
  const auto limited = [this](const char* key, const char* what) {
    const auto permit = Find(key)->Enter();
    ASSERT_EQ(permit.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(permit.status().message()), HasSubstr(what));
    EXPECT_EQ(permit.status().GetPayload(gateway::kCodePayload), absl::Cord("rate_limit_exceeded"));
    EXPECT_TRUE(permit.status().GetPayload(gateway::kRetryAfterPayload));
  };
  EXPECT_TRUE(Find("a")->Enter().ok());
  limited("a", "1 requests per minute");
  auto bob = *Find("b")->Enter();
  bob->UseTokens(700);
  limited("b", "600 tokens per minute");
  now += milliseconds(10'100);
  EXPECT_TRUE(Find("b")->Enter().ok());
  auto eve = *Find("e")->Enter();
  limited("e", "1 requests running");
  eve.reset();
  EXPECT_TRUE(Find("e")->Enter().ok());
  EXPECT_THAT(metrics.Text(), HasSubstr("weft_gateway_limited_total{limit=\"requests\","
                                        "tenant=\"math\"} 1"));
}

TEST_F(AccessTest, BudgetsAreToldAsOpenAiTellsThem) {
  WriteKeys(
      absl::StrCat(Entry("alice", "a", R"(,"requests_per_minute":60,"tokens_per_minute":600)"), ",",
                   Entry("bob", "b")));
  Start({}, true);
  const auto permit = Find("a")->Enter();
  (*permit)->UseTokens(1000);
  EXPECT_EQ(Find("a")->RateLimitHeaders(),
            "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\n"
            "x-ratelimit-reset-requests: 1s\r\n"
            "x-ratelimit-limit-tokens: 600\r\nx-ratelimit-remaining-tokens: 0\r\n"
            "x-ratelimit-reset-tokens: 1m40s\r\n");
  EXPECT_EQ(Find("b")->RateLimitHeaders(), "");
}

TEST_F(AccessTest, TenantsOfMetricsAreFew) {
  std::string keys;
  for (int i = 0; i < 150; ++i) {
    absl::StrAppend(
        &keys, i > 0 ? "," : "",
        Entry(absl::StrCat("t", i), absl::StrCat("k", i), R"(,"requests_per_minute":1)"));
  }
  WriteKeys(keys);
  Start({}, true);
  for (int i = 0; i < 150; ++i) {
    const auto caller = Find(absl::StrCat("k", i));
    EXPECT_TRUE(caller->Enter().ok());
    EXPECT_FALSE(caller->Enter().ok());
  }
  EXPECT_THAT(metrics.Text(),
              HasSubstr("weft_gateway_limited_total{limit=\"requests\",tenant=\"other\"} 50"));
}

}  // namespace
}  // namespace weft::auth
