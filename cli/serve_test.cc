#include "cli/serve.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/flags.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Fixture : ::testing::Test {
  Fixture() {
    folder = fs::temp_directory_path() / ("weft-serve-" + std::to_string(getpid()));
    fs::create_directories(folder / "demo");
    for (const char* file : {"config.json", "tokenizer.json"}) {
      std::ofstream(folder / "demo" / file) << "{}";
    }
    options.models = {(folder / "demo").string()};
  }
  ~Fixture() override { fs::remove_all(folder); }

  // The exit code that the flags alone give.
  std::optional<int> Parse(std::vector<std::string> words) {
    words.insert(words.begin(), "weft serve");
    words.insert(words.begin() + 1, options.models.begin(), options.models.end());
    options.models.clear();
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    Flags flags("weft serve", "Serves.");
    AddServeFlags(flags, options);
    ::testing::internal::CaptureStderr();
    auto exit_code = flags.Parse(static_cast<int>(argv.size()), argv.data());
    errors = ::testing::internal::GetCapturedStderr();
    return exit_code;
  }
  const std::vector<std::string>& Argv(Member member) {
    return commands.commands[IndexOf(member, static_cast<int>(options.models.size()))].argv;
  }
  std::string Error() { return std::string(Validate(options).message()); }
  void Build() { commands = Commands(options, "/opt/weft/bin").value(); }

  fs::path folder;
  ServeOptions options;
  RunnerOptions commands;
  std::string errors;
};

using ServeTest = Fixture;

TEST_F(ServeTest, EachFlagGoesToItsTier) {
  ASSERT_EQ(Parse({"--dtype", "float32", "--max-num-seqs=8", "--port", "8123", "--drain-timeout",
                   "2.5", "--otlp-endpoint", "http://collector:4318", "--trace-ratio", "0.25",
                   "--enable-prefix-caching=false", "--enforce-eager", "--log-format", "json"}),
            std::nullopt)
      << errors;
  Build();
  EXPECT_THAT(Argv(Tier::kWorker), Contains("--dtype=float32"));
  EXPECT_THAT(Argv(Tier::kWorker), Contains("--max-num-seqs=8"));
  EXPECT_THAT(Argv(Tier::kGateway), Contains("--port=8123"));
  EXPECT_THAT(Argv(Tier::kGateway), Contains("--drain-timeout=2.5"));
  EXPECT_THAT(Argv(Tier::kGateway), Contains("--trace-ratio=0.25"));
  for (const Tier tier : {Tier::kGateway, Tier::kScheduler}) {
    EXPECT_THAT(Argv(tier), Contains("--otlp-endpoint=http://collector:4318"));
  }
  EXPECT_THAT(Argv(Tier::kGateway), Not(Contains(StartsWith("--dtype"))));
  EXPECT_THAT(Argv(Tier::kScheduler), Contains("--enable-prefix-caching=false"));
  EXPECT_THAT(Argv(Tier::kWorker), Contains("--enforce-eager=true"));
  for (const Member member : Members(1)) EXPECT_THAT(Argv(member), Contains("--log-format=json"));
  EXPECT_EQ(commands.drain_timeout, Duration(2500));
}

TEST_F(ServeTest, AFlagThatWasNotGivenIsLeftToItsTier) {
  ASSERT_EQ(Parse({}), std::nullopt);
  Build();
  EXPECT_THAT(Argv(Tier::kWorker), Not(Contains(StartsWith("--max-num-seqs"))));
  for (const Tier tier : {Tier::kGateway, Tier::kScheduler}) {
    EXPECT_THAT(Argv(tier), Not(Contains(StartsWith("--otlp-endpoint"))));
  }
}

TEST_F(ServeTest, ThePageIsNamedUnlessItIsSwitchedOff) {
  Build();
  EXPECT_THAT(Argv(Tier::kGateway), Contains("--playground=true"));
  EXPECT_THAT(commands.greeting, HasSubstr("in a browser: http://127.0.0.1:"));
  ASSERT_EQ(Parse({"--playground=false"}), std::nullopt);
  options.models = {(folder / "demo").string()};
  Build();
  EXPECT_THAT(Argv(Tier::kGateway), Contains("--playground=false"));
  EXPECT_THAT(commands.greeting, Not(HasSubstr("browser")));
}

TEST_F(ServeTest, ExecutablesStandBesideOurOwn) {
  Build();
  EXPECT_EQ(Argv(Tier::kWorker).front(), "/opt/weft/bin/weft-worker");
  EXPECT_EQ(Argv(Tier::kScheduler).front(), "/opt/weft/bin/weft-scheduler");
  EXPECT_EQ(Argv(Tier::kGateway).front(), "/opt/weft/bin/weft-gateway");
}

TEST_F(ServeTest, OnlyTheGatewayIsReachableFromElsewhere) {
  options.host = "0.0.0.0";
  Build();
  EXPECT_THAT(Argv(Tier::kGateway), Contains("--host=0.0.0.0"));
  EXPECT_THAT(Argv(Tier::kScheduler), Contains("--host=127.0.0.1"));
  for (const Member member : Members(1))
    EXPECT_THAT(Argv(member), Contains("--admin-host=127.0.0.1"));
}

TEST_F(ServeTest, PortsAreChosenAndDiffer) {
  options.port = 0;
  Build();
  EXPECT_THAT(Argv(Tier::kGateway), Not(Contains("--port=0")));
  EXPECT_NE(commands.commands[0].admin_port, commands.commands[1].admin_port);
  EXPECT_THAT(Argv(Tier::kWorker), Contains(StartsWith("--scheduler=127.0.0.1:")));
}

TEST_F(ServeTest, TheModelIsNamedAfterItsFolderUnlessToldOtherwise) {
  options.models[0] += "/";
  Build();
  EXPECT_THAT(Argv(Tier::kGateway), Contains("--served-model-name=demo"));
  EXPECT_THAT(commands.greeting, HasSubstr(R"("model": "demo")"));
  options.served_model_names = {"mine"};
  Build();
  EXPECT_THAT(Argv(Tier::kGateway), Contains("--served-model-name=mine"));
  options.served_model_names = {"mine,yours"};
  Build();
  EXPECT_THAT(Argv(Tier::kGateway), Contains("--served-model-name=mine,yours"));
  // The label of their metrics: one name.
  EXPECT_THAT(Argv(Tier::kScheduler), Contains("--served-model-name=mine"));
  EXPECT_THAT(Argv(Tier::kWorker), Contains("--served-model-name=mine"));
  EXPECT_THAT(commands.greeting, HasSubstr(R"("model": "mine")"));
}

TEST_F(ServeTest, TheGreetingNamesAnAddressThatCanBeReached) {
  options.host = "::";
  options.port = 8123;
  Build();
  EXPECT_THAT(commands.greeting, HasSubstr("http://127.0.0.1:8123/v1/chat/completions"));
  options.host = "fd00::1";
  Build();
  EXPECT_THAT(commands.greeting, HasSubstr("http://[fd00::1]:8123/v1"));
}

TEST_F(ServeTest, AModelThatIsNoModelFolderIsRefusedWithWhatIsMissing) {
  EXPECT_TRUE(Validate(options).ok()) << Validate(options);
  options.models = {"/no/such/model"};
  EXPECT_THAT(Error(), HasSubstr("there is no such folder"));
  options.models = {(folder / "demo" / "config.json").string()};
  EXPECT_THAT(Error(), HasSubstr("is not a folder"));
  options.models = {folder.string()};
  EXPECT_THAT(Error(), HasSubstr("has no config.json"));
}

TEST_F(ServeTest, AModelOfTheHubIsCalledAsThere) {
  options.models = {"acme/tiny@v1", "hf://acme/other"};
  EXPECT_TRUE(Validate(options).ok()) << Validate(options);
  EXPECT_THAT(NamesOf(options), ElementsAre("acme/tiny", "acme/other"));
  options.models = {"./acme/tiny"};
  EXPECT_THAT(Error(), HasSubstr("there is no such folder"));
  options.models = {"hf://acme"};
  EXPECT_THAT(Error(), HasSubstr("owner/name[@revision]"));
}

TEST_F(ServeTest, SeveralModelsShareTheMachine) {
  fs::copy(folder / "demo", folder / "other");
  options.models.push_back((folder / "other").string());
  ASSERT_EQ(Parse({"--scheduler-port", "7000", "--gpu-memory-utilization", "0.8"}), std::nullopt)
      << errors;
  ASSERT_TRUE(Validate(options).ok()) << Validate(options);
  Build();
  ASSERT_EQ(commands.commands.size(), 5u);
  EXPECT_THAT(commands.groups, ElementsAre("demo", "other"));
  const Member scheduler{Tier::kScheduler, 1}, worker{Tier::kWorker, 1};
  EXPECT_THAT(Argv(Tier::kScheduler), Contains("--port=7000"));
  EXPECT_THAT(Argv(scheduler), Contains("--port=7001"));
  EXPECT_THAT(Argv(worker), Contains("--scheduler=127.0.0.1:7001"));
  EXPECT_THAT(Argv(worker), Contains("--model=" + options.models[1]));
  for (const Member one : {Member(Tier::kWorker), worker}) {
    EXPECT_THAT(Argv(one), Contains("--gpu-memory-utilization=0.4"));
    EXPECT_THAT(Argv(one), Contains(StartsWith("--num-threads=")));
  }
  std::vector<std::string> groups;  // as the gateway is told of them, in order
  for (const std::string& word : Argv(Tier::kGateway)) {
    if (word.starts_with("--served-model-name=") || word.starts_with("--scheduler=")) {
      groups.push_back(word);
    }
  }
  EXPECT_THAT(groups, ElementsAre("--served-model-name=demo", "--scheduler=127.0.0.1:7000",
                                  "--served-model-name=other", "--scheduler=127.0.0.1:7001"));
  EXPECT_THAT(commands.greeting, HasSubstr("demo and other are served at"));
}

TEST_F(ServeTest, SeveralModelsHaveDifferentNames) {
  options.models.push_back(options.models[0]);
  EXPECT_THAT(Error(), HasSubstr("two models are called demo"));
  options.served_model_names = {"a,b"};
  EXPECT_THAT(Error(), HasSubstr("--served-model-name is given 1 times for 2 models"));
  options.served_model_names = {"a,b", "c,b"};
  EXPECT_THAT(Error(), HasSubstr("two models are called b"));
  options.served_model_names = {"a,b", "c"};
  EXPECT_EQ(Error(), "");
}

TEST_F(ServeTest, WhatIsNotBuiltIsRefusedWithTheCause) {
  options.quantization = "awq";
  EXPECT_THAT(Validate(options).message(), HasSubstr("--quantization awq"));
  options.quantization = "";
  options.tensor_parallel_size = 2;
  EXPECT_THAT(Validate(options).message(), HasSubstr("only 1 is built"));
}

TEST_F(ServeTest, BadFlagsAreRefusedWithWhatIsRight) {
  EXPECT_EQ(Parse({"--dtype", "int3"}), 2);
  EXPECT_THAT(errors, HasSubstr("bfloat16"));
  EXPECT_EQ(Parse({"--max-modle-len", "9"}), 2);
  EXPECT_THAT(errors, HasSubstr("did you mean --max-model-len?"));
  EXPECT_EQ(Parse({"--max-num-seqs", "many"}), 2);
  EXPECT_EQ(Parse({"--gpu-memory-utilization", "7"}), 2);
}

}  // namespace
}  // namespace weft::cli
