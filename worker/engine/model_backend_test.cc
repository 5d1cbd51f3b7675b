// The backend on the CPU; what a GPU adds is in cuda/cuda_backend_test.cc.
#include "worker/engine/model_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/tokenizer.h"
#include "worker/engine/testing.h"
#include "worker/model/testing.h"

namespace weft::worker {
namespace {

using testing::DummyTensors;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using testing::Request;
using testing::RunRequests;
using testing::SafetensorsBytes;
using testing::TempDir;
using testing::TinyModel;

// The output of one prompt alone, prefilled in one go.
std::vector<TokenId> Generate(Backend& backend, const std::vector<TokenId>& prompt, int count,
                              const SamplingParams& sampling = {.temperature = 0}) {
  const Request request = {.prompt = prompt, .num_new_tokens = count, .sampling = sampling};
  return RunRequests(backend, {request})[0].tokens;
}

std::vector<std::vector<TokenId>> TokensOf(Backend& backend, const std::vector<Request>& requests) {
  std::vector<std::vector<TokenId>> tokens;
  for (const auto& output : RunRequests(backend, requests)) tokens.push_back(output.tokens);
  return tokens;
}

std::vector<TokenId> Prompt(int length, int salt, int vocab = 97) {
  std::vector<TokenId> ids;
  for (int i = 0; i < length; ++i) ids.push_back((31 * i + 17 * salt + i * i) % vocab);
  return ids;
}

struct Model {
  explicit Model(TinyModel shape = {}, ModelBackendOptions options = {}) {
    dir.Write("config.json", shape.ConfigJson());
    options.model_dir = dir.path();
    options.device = "cpu";
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
  // Request i enters at step i / 8, so that every step mixes prompts and decodes; one
  // in three computes its prompt token by token.
  std::vector<Request> requests;
  std::vector<std::vector<TokenId>> expected;
  for (int i = 0; i < 64; ++i) {
    requests.push_back({.prompt = Prompt(3 + i % 29, i),
                        .num_new_tokens = 12,
                        .arrival = i / 8,
                        .chunk = i % 3 == 0 ? 1 : 100});
    expected.push_back(Generate(*model.backend, requests.back().prompt, 12));
  }
  EXPECT_EQ(TokensOf(*model.backend, requests), expected);
}

TEST_P(EachDType, RecomputedSequenceContinuesAsIfNeverInterrupted) {
  Model model({}, {.dtype = GetParam()});
  for (float temperature : {0.0f, 0.8f}) {
    Request request = {
        .prompt = Prompt(21, 3),
        .num_new_tokens = 20,
        .sampling = {
            .temperature = temperature, .top_p = 0.9, .repetition_penalty = 1.1, .seed = 5}};
    const auto whole = TokensOf(*model.backend, {request});
    // Seven tokens were delivered elsewhere; here all are known and none computed.
    request.delivered.assign(whole[0].begin(), whole[0].begin() + 7);
    EXPECT_EQ(TokensOf(*model.backend, {request}), whole);
  }
}

TEST_P(EachDType, CachedPrefixAndChunksGiveTheSameContinuation) {
  Model model({}, {.dtype = GetParam()});
  const auto prompt = Prompt(45, 9);
  const auto expected = Generate(*model.backend, prompt, 5);
  // The second enters behind the first's two blocks, while that computes on.
  const std::vector<Request> requests = {
      {.prompt = prompt, .num_new_tokens = 5, .chunk = 13},
      {.prompt = prompt, .num_new_tokens = 5, .prefix_of = 0, .num_prefix_blocks = 2}};
  EXPECT_EQ(TokensOf(*model.backend, requests), std::vector(2, expected));
}

TEST_P(EachDType, PromptLogprobsAreThoseThatTheOutputHadWhenItWasMade) {
  Model model({}, {.dtype = GetParam(), .max_num_seqs = 4});  // 4 rows of logits at a time
  const auto prompt = Prompt(30, 3);
  const Request made = {.prompt = prompt,
                        .num_new_tokens = 20,
                        .sampling = {.temperature = 1, .seed = 9, .num_logprobs = 3}};
  const auto output = RunRequests(*model.backend, {made})[0];
  Request again = {.prompt = prompt,
                   .num_new_tokens = 1,
                   .sampling = {.temperature = 0, .num_prompt_logprobs = 3}};
  again.prompt.insert(again.prompt.end(), output.tokens.begin(), output.tokens.end());
  const PromptLogprobs all = RunRequests(*model.backend, {again})[0].prompt_logprobs;
  ASSERT_EQ(all.first_position, 1);
  ASSERT_EQ(all.size(), 49);
  for (int i = 0; i < 20; ++i) {
    const int entry = 29 + i;  // position 30 + i
    EXPECT_NEAR(all.logprobs[entry], output.logprobs[i].logprob, 1e-4) << i;
    EXPECT_EQ(std::vector(&all.top_tokens[3 * entry], &all.top_tokens[3 * entry] + 3),
              output.logprobs[i].top_tokens);
  }
}

TEST_P(EachDType, PromptLogprobsAreTheSameInChunksAndAmongOthers) {
  Model model({}, {.dtype = GetParam(), .max_num_seqs = 4, .max_num_batched_tokens = 64});
  const SamplingParams sampling = {
      .temperature = 0, .repetition_penalty = 2, .num_prompt_logprobs = 2};
  const Request whole = {.prompt = Prompt(50, 3), .num_new_tokens = 2, .sampling = sampling};
  const auto expected = RunRequests(*model.backend, {whole})[0];
  EXPECT_EQ(expected.prompt_logprobs.size(), 49);
  for (int chunk : {1, 7, 16}) {
    Request chunked = whole;
    chunked.chunk = chunk;
    const std::vector<Request> requests = {
        {.prompt = Prompt(20, 1), .num_new_tokens = 30},
        chunked,
        {.prompt = Prompt(40, 2), .num_new_tokens = 3, .sampling = sampling, .arrival = 2}};
    const auto output = RunRequests(*model.backend, requests)[1];
    EXPECT_EQ(output.tokens, expected.tokens);
    // A product of few rows may round otherwise.
    EXPECT_THAT(output.prompt_logprobs.logprobs,
                Pointwise(FloatNear(2e-5f), expected.prompt_logprobs.logprobs))
        << chunk;
    EXPECT_EQ(output.prompt_logprobs.ranks, expected.prompt_logprobs.ranks);
    EXPECT_EQ(output.prompt_logprobs.top_tokens, expected.prompt_logprobs.top_tokens);
  }
  // Penalties do not touch them, and who does not ask has none.
  Request plain = whole;
  plain.sampling.repetition_penalty = 1;
  EXPECT_EQ(RunRequests(*model.backend, {plain})[0].prompt_logprobs, expected.prompt_logprobs);
  plain.sampling.num_prompt_logprobs.reset();
  EXPECT_EQ(RunRequests(*model.backend, {plain})[0].prompt_logprobs.size(), 0);
}

// Each under its grammar, and the ones without as if they were alone.
TEST(ModelBackend, GrammarsAreFollowedAndDisturbNobody) {
  const std::string dir = std::string(WEFT_SOURCE_DIR) + "/models/weft-demo-math";
  const auto tokenizer = text::Tokenizer::Load(dir);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto made =
      MakeModelBackend({.model_dir = dir, .device = "cpu", .dtype = "float32", .num_threads = 2});
  ASSERT_TRUE(made.ok()) << made.status();
  const TokenId eos = (*tokenizer)->eos_id();
  std::vector<Request> requests;
  for (int i = 0; i < 12; ++i) {
    requests.push_back({.prompt = Prompt(4 + 5 * i, i),
                        .num_new_tokens = 40,
                        .sampling = {.temperature = i % 2 ? 1.0f : 0.0f,
                                     .seed = static_cast<uint64_t>(i),
                                     .stop_token_ids = {eos}},
                        .arrival = i / 3});
  }
  const auto free = TokensOf(**made, requests);
  const Grammar grammar = {Grammar::Kind::kRegex, "[A-Z][a-z]{2,8}( [0-9]{1,3}){2}[.]"};
  for (int i = 0; i < 12; i += 2) requests[i].sampling.grammar = grammar;
  const auto outputs = TokensOf(**made, requests);
  for (int i = 0; i < 12; ++i) {
    if (i % 2 == 1) {
      EXPECT_EQ(outputs[i], free[i]);
      continue;
    }
    const auto end = std::find(outputs[i].begin(), outputs[i].end(), eos);
    ASSERT_NE(end, outputs[i].end());
    const std::vector<TokenId> answer(outputs[i].begin(), end);
    const std::string text = *(*tokenizer)->Decode(answer, /*skip_special=*/false);
    EXPECT_THAT(text, ::testing::MatchesRegex("[A-Z][a-z]+ [0-9]+ [0-9]+[.]"));

    // Continued elsewhere from anywhere, it is the same.
    Request resumed = requests[i];
    resumed.num_new_tokens = static_cast<int>(answer.size());
    resumed.delivered.assign(answer.begin(), answer.begin() + i % answer.size());
    EXPECT_EQ(TokensOf(**made, {resumed})[0], answer);
  }
}

TEST(ModelBackend, BrokenCommandLeavesItUnchanged) {
  Model model;
  const auto prompt = Prompt(20, 1);
  const auto expected = Generate(*model.backend, prompt, 3);
  const auto entry = [](std::vector<TokenId> tokens) {
    const int count = static_cast<int>(tokens.size());
    return SlotEntry{
        .tokens = std::move(tokens), .num_prompt_tokens = count, .sampling = {.temperature = 0}};
  };
  std::vector<TokenId> output;
  const auto step = [&](const StepCommand& command) {
    const auto result = model.backend->Execute(command);
    ASSERT_TRUE(result.ok()) << result.status();
    output.push_back(result->rows[0].tokens.at(0));
  };
  step({.entries = {entry(prompt)}, .rows = {{.slot = 0, .num_tokens = 20, .new_blocks = {4, 2}}}});
  // The slot is entered twice: nothing of this may happen, not even the release.
  const StepCommand broken = {.released_slots = {0},
                              .entries = {entry(Prompt(4, 2)), entry(Prompt(4, 3))}};
  EXPECT_EQ(model.backend->Execute(broken).status().code(), absl::StatusCode::kInvalidArgument);
  for (int i = 0; i < 2; ++i) step({.rows = {{.slot = 0, .num_tokens = 1}}});
  EXPECT_EQ(output, expected);
}

TEST(ModelBackend, DummyWeightsEqualTheSameWeightsFromDisk) {
  for (bool tied : {true, false}) {
    TinyModel shape = {.tied_head = tied};
    Model dummy(shape, {.load_format = "dummy"});
    Model disk(shape);
    EXPECT_EQ(Generate(*dummy.backend, Prompt(9, 4), 8), Generate(*disk.backend, Prompt(9, 4), 8));
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
  auto other = MakeModelBackend({.model_dir = a.dir.path(), .device = "cpu", .num_threads = 2});
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
  const auto backend =
      MakeModelBackend({.model_dir = dir.path(), .device = "cpu", .num_threads = 1});
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
    options.device = "cpu";
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
  auto backend = MakeModelBackend(
      {.model_dir = dir.path(), .device = "cpu", .load_format = "dummy", .num_threads = 2});
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_EQ((*backend)->limits().vocab_size, 40);
  for (TokenId token : Generate(**backend, Prompt(5, 1, 40), 100, {.temperature = 2, .seed = 1})) {
    EXPECT_LT(token, 40);
  }
}

}  // namespace
}  // namespace weft::worker
