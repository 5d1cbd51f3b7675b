#include "worker/engine/model_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/model/testing.h"

namespace weft::worker {
namespace {

using testing::DummyTensors;
using ::testing::HasSubstr;
using testing::SafetensorsBytes;
using testing::TempDir;
using testing::TinyModel;

// Drives a backend as a scheduler would: sequences in slots, blocks handed out in
// order, rows one step at a time.
class Driver {
 public:
  explicit Driver(Backend& backend) : backend_(backend) {}

  SlotEntry Enter(int slot, std::vector<TokenId> tokens, SamplingParams sampling = Greedy()) {
    SlotEntry entry = {.slot = slot, .tokens = std::move(tokens), .sampling = sampling};
    entry.num_prompt_tokens = static_cast<int>(entry.tokens.size());
    return entry;
  }

  // Rows for these slots with as many blocks as they then need.
  StepRow Row(int slot, int num_tokens, int end) {
    StepRow row = {.slot = slot, .num_tokens = num_tokens};
    const int needed = (end + 15) / 16;
    for (int& have = num_blocks_[slot]; have < needed; ++have) {
      row.new_blocks.push_back(next_block_++);
    }
    return row;
  }

  // Greedy output of one prompt alone, prefilled in one go.
  std::vector<TokenId> Generate(const std::vector<TokenId>& prompt, int count,
                                SamplingParams sampling = Greedy()) {
    StepCommand command;
    command.entries = {Enter(0, prompt, sampling)};
    std::vector<TokenId> output;
    int computed = 0;
    for (int i = 0; i < count; ++i) {
      const int n = i == 0 ? static_cast<int>(prompt.size()) : 1;
      command.rows = {Row(0, n, computed + n)};
      computed += n;
      const auto result = Execute(command);
      output.push_back(result.rows[0].tokens.at(0));
      command = {};
    }
    command.released_slots = {0};
    Execute(command);
    num_blocks_[0] = 0;
    next_block_ = 0;
    return output;
  }

  StepResult Execute(const StepCommand& command) {
    auto result = backend_.Execute(command);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : StepResult{};
  }

  static SamplingParams Greedy() { return {.temperature = 0}; }

 private:
  Backend& backend_;
  std::map<int, int> num_blocks_;
  int next_block_ = 0;
};

std::vector<TokenId> Prompt(int length, int salt, int vocab = 97) {
  std::vector<TokenId> ids;
  for (int i = 0; i < length; ++i) ids.push_back((31 * i + 17 * salt + i * i) % vocab);
  return ids;
}

struct Model {
  explicit Model(TinyModel shape = {}, ModelBackendOptions options = {}) {
    dir.Write("config.json", shape.ConfigJson());
    options.model_dir = dir.path();
    options.num_threads = 2;
    if (options.load_format == "auto") {
      dir.Write("model.safetensors", SafetensorsBytes(DummyTensors(shape.Config())));
    }
    auto made = MakeModelBackend(options, &facts);
    EXPECT_TRUE(made.ok()) << made.status();
    if (made.ok()) backend = *std::move(made);
  }

  TempDir dir;
  LoadFacts facts;
  std::unique_ptr<Backend> backend;
};

class EachDType : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, EachDType, ::testing::Values("float32", "bfloat16"));

TEST_P(EachDType, StreamsTogetherEqualEachAlone) {
  Model model({}, {.dtype = GetParam()});
  Driver alone(*model.backend);
  constexpr int kStreams = 64, kTokens = 12;
  std::vector<std::vector<TokenId>> prompts, expected;
  for (int i = 0; i < kStreams; ++i) {
    prompts.push_back(Prompt(3 + i % 29, i));
    expected.push_back(alone.Generate(prompts.back(), kTokens));
  }

  // Slot i enters at step i / 8, so that every step mixes prompts and decodes.
  Driver together(*model.backend);
  std::vector<std::vector<TokenId>> output(kStreams);
  std::vector<int> computed(kStreams, 0);
  for (int step = 0; step < kStreams / 8 + kTokens; ++step) {
    StepCommand command;
    for (int i = 0; i < kStreams; ++i) {
      if (i / 8 > step || static_cast<int>(output[i].size()) == kTokens) continue;
      const bool enters = i / 8 == step;
      if (enters) command.entries.push_back(together.Enter(i, prompts[i]));
      const int n = enters ? static_cast<int>(prompts[i].size()) : 1;
      command.rows.push_back(together.Row(i, n, computed[i] + n));
      computed[i] += n;
    }
    const StepResult result = together.Execute(command);
    for (size_t r = 0; r < result.rows.size(); ++r) {
      output[command.rows[r].slot].push_back(result.rows[r].tokens.at(0));
    }
  }
  EXPECT_EQ(output, expected);
}

TEST_P(EachDType, RecomputedSequenceContinuesAsIfNeverInterrupted) {
  Model model({}, {.dtype = GetParam()});
  Driver driver(*model.backend);
  for (float temperature : {0.0f, 0.8f}) {
    const SamplingParams sampling = {
        .temperature = temperature, .top_p = 0.9, .repetition_penalty = 1.1, .seed = 5};
    const auto prompt = Prompt(21, 3);
    const auto whole = driver.Generate(prompt, 20, sampling);

    // Seven tokens were delivered elsewhere; here all are known and none computed.
    SlotEntry entry = {.slot = 0, .tokens = prompt, .num_prompt_tokens = 21, .sampling = sampling};
    entry.tokens.insert(entry.tokens.end(), whole.begin(), whole.begin() + 7);
    Driver again(*model.backend);
    StepCommand command;
    command.entries = {entry};
    command.rows = {again.Row(0, 28, 28)};
    std::vector<TokenId> rest;
    for (int i = 0; i < 13; ++i) {
      rest.push_back(again.Execute(command).rows[0].tokens.at(0));
      command = {};
      command.rows = {again.Row(0, 1, 29 + i)};
    }
    EXPECT_EQ(rest, std::vector<TokenId>(whole.begin() + 7, whole.end()));
    model.backend->Reset();
  }
}

TEST_P(EachDType, CachedPrefixAndChunksGiveTheSameContinuation) {
  Model model({}, {.dtype = GetParam()});
  Driver driver(*model.backend);
  const auto prompt = Prompt(45, 9);
  const auto expected = driver.Generate(prompt, 5);

  // Slot 1 computes 32 tokens in uneven chunks; slot 2 enters with those two
  // blocks as its own and computes the rest.
  StepCommand command;
  command.entries = {driver.Enter(1, prompt)};
  command.rows = {{.slot = 1, .num_tokens = 13, .new_blocks = {7}}};
  EXPECT_TRUE(driver.Execute(command).rows[0].tokens.empty());
  command = {};
  command.rows = {{.slot = 1, .num_tokens = 19, .new_blocks = {3}}};
  EXPECT_TRUE(driver.Execute(command).rows[0].tokens.empty());
  command = {};
  SlotEntry entry = driver.Enter(2, prompt);
  entry.num_computed_tokens = 32;
  entry.blocks = {7, 3};
  command.entries = {entry};
  command.rows = {{.slot = 1, .num_tokens = 13, .new_blocks = {4}},
                  {.slot = 2, .num_tokens = 13, .new_blocks = {9}}};
  std::vector<TokenId> chunked, cached;
  for (int i = 0; i < 5; ++i) {
    const StepResult result = driver.Execute(command);
    chunked.push_back(result.rows[0].tokens.at(0));
    cached.push_back(result.rows[1].tokens.at(0));
    command = {};
    command.rows = {{.slot = 1, .num_tokens = 1}, {.slot = 2, .num_tokens = 1}};
    if (i == 2) {  // position 48 opens a block
      command.rows[0].new_blocks = {5};
      command.rows[1].new_blocks = {6};
    }
  }
  EXPECT_EQ(chunked, expected);
  EXPECT_EQ(cached, expected);
}

TEST(ModelBackend, BrokenCommandLeavesItUnchanged) {
  Model model;
  Driver driver(*model.backend);
  const auto prompt = Prompt(20, 1);
  const auto expected = driver.Generate(prompt, 3);
  StepCommand command;
  command.entries = {driver.Enter(0, prompt)};
  command.rows = {driver.Row(0, 20, 20)};
  std::vector<TokenId> output = {driver.Execute(command).rows[0].tokens.at(0)};
  // The slot is taken: nothing of this may happen, not even the release.
  StepCommand broken;
  broken.released_slots = {0};
  broken.entries = {driver.Enter(0, Prompt(4, 2)), driver.Enter(0, Prompt(4, 3))};
  EXPECT_EQ(model.backend->Execute(broken).status().code(), absl::StatusCode::kInvalidArgument);
  for (int i = 0; i < 2; ++i) {
    StepCommand next;
    next.rows = {driver.Row(0, 1, 21 + i)};
    output.push_back(driver.Execute(next).rows[0].tokens.at(0));
  }
  EXPECT_EQ(output, expected);
}

TEST(ModelBackend, DummyWeightsEqualTheSameWeightsFromDisk) {
  for (bool tied : {true, false}) {
    TinyModel shape = {.tied_head = tied};
    Model dummy(shape, {.load_format = "dummy"});
    Model disk(shape);
    EXPECT_EQ(Driver(*dummy.backend).Generate(Prompt(9, 4), 8),
              Driver(*disk.backend).Generate(Prompt(9, 4), 8));
    EXPECT_NE(dummy.backend->fingerprint(), disk.backend->fingerprint());
  }
}

TEST(ModelBackend, FingerprintTellsWeightsAndDTypesApart) {
  TinyModel shape;
  Model a(shape), b(shape), bf16(shape, {.dtype = "bfloat16"});
  EXPECT_EQ(a.backend->fingerprint(), b.backend->fingerprint());
  EXPECT_NE(a.backend->fingerprint(), bf16.backend->fingerprint());
  auto tensors = DummyTensors(shape.Config());
  tensors[5].bytes[0] ^= 1;
  a.dir.Write("model.safetensors", SafetensorsBytes(tensors));
  auto other = MakeModelBackend({.model_dir = a.dir.path(), .num_threads = 2});
  ASSERT_TRUE(other.ok());
  EXPECT_NE((*other)->fingerprint(), b.backend->fingerprint());
}

TEST(ModelBackend, NaNWeightsNeverBecomeReady) {
  TinyModel shape;
  TempDir dir;
  dir.Write("config.json", shape.ConfigJson());
  auto tensors = DummyTensors(shape.Config());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (auto& tensor : tensors) {
    if (tensor.name == "model.layers.1.mlp.up_proj.weight")
      tensor.bytes.replace(40, 4, std::string(reinterpret_cast<const char*>(&nan), 4));
  }
  dir.Write("model.safetensors", SafetensorsBytes(tensors));
  const auto backend = MakeModelBackend({.model_dir = dir.path(), .num_threads = 1});
  EXPECT_EQ(backend.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(backend.status().message()), HasSubstr("NaN"));
}

TEST(ModelBackend, KvPoolIsWhatWasAskedOrAnError) {
  // 2 layers x 2 kv heads x 16 x 2 x 4 bytes = 512 a token, 8192 a block.
  Model model({}, {.kv_bytes = 10 * 8192 + 100});
  EXPECT_EQ(model.backend->limits().num_blocks, 10);
  EXPECT_EQ(model.backend->limits().max_context_tokens, 160);
  EXPECT_EQ(model.facts.num_kv_tokens, 160);
  EXPECT_EQ(model.facts.kv_bytes, 10 * 8192);
  const auto refused = [&](ModelBackendOptions options) {
    options.model_dir = model.dir.path();
    return std::string(MakeModelBackend(options).status().message());
  };
  EXPECT_THAT(refused({.max_model_len = 200, .kv_bytes = 10 * 8192}), HasSubstr("208"));
  EXPECT_THAT(refused({.max_model_len = 257}), HasSubstr("256"));
  EXPECT_THAT(refused({.dtype = "float16"}), HasSubstr("needs a GPU"));
  EXPECT_THAT(refused({.dtype = "int8"}), HasSubstr("bfloat16"));
  EXPECT_THAT(refused({.load_format = "pt"}), HasSubstr("dummy"));
  EXPECT_THAT(refused({.max_num_seqs = -1}), HasSubstr("--max-num-seqs"));
}

TEST(ModelBackend, PaddedVocabularyIsNeverSampled) {
  // The tokenizer knows 40 ids of 97.
  TinyModel shape;
  TempDir dir;
  dir.Write("config.json", shape.ConfigJson());
  std::string vocab;
  for (int i = 0; i < 39; ++i)
    vocab += (i ? ",\"t" : "\"t") + std::to_string(i) + "\":" + std::to_string(i);
  dir.Write("tokenizer.json",
            R"({"added_tokens":[{"id":39,"content":"<end>"}],"model":{"vocab":{)" + vocab + "}}}");
  auto backend =
      MakeModelBackend({.model_dir = dir.path(), .load_format = "dummy", .num_threads = 2});
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_EQ((*backend)->limits().vocab_size, 40);
  Driver driver(**backend);
  for (TokenId token : driver.Generate(Prompt(5, 1, 40), 100, {.temperature = 2, .seed = 1})) {
    EXPECT_LT(token, 40);
  }
}

}  // namespace
}  // namespace weft::worker
