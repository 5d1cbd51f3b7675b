// What a backend on a GPU promises, on small models: the same tokens whichever way a
// request is cut into steps and whatever runs beside it, and the CPU's tokens.
//
// In fp32 tokens are equal. In 16 bits a product of other size rounds otherwise, so
// streams may part where the two best tokens are closer than rounding; what was
// computed in steps of the same sizes is equal to the bit.
#include <cuda_runtime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "text/chat_template.h"
#include "text/grammar.h"
#include "worker/engine/cuda/load_cuda.h"
#include "worker/engine/testing.h"
#include "worker/model/testing.h"

namespace weft::worker {
namespace {

using ::testing::HasSubstr;
using testing::MakePrompt;
using testing::Output;
using testing::Request;
using testing::RunRequests;
using testing::Schedule;
using testing::TempDir;
using testing::TinyModel;

// An odd vocabulary and no full tile of anything.
TinyModel Heads64() {
  return {.vocab_size = 211,
          .hidden_size = 256,
          .intermediate_size = 320,
          .num_heads = 4,
          .num_kv_heads = 2,
          .max_position_embeddings = 512,
          .tied_head = false};
}
TinyModel Heads128() {
  TinyModel shape = Heads64();
  shape.num_heads = 6;
  shape.hidden_size = 768;
  shape.num_kv_heads = 1;
  return shape;
}

// Measured algorithms, shared by all models of this process: what is compared to the
// bit must run the same ones.
std::string GemmTable() {
  static const TempDir dir;
  return dir / "gemm";
}

struct Model {
  Model(const TinyModel& shape, ModelBackendOptions options) {
    dir.Write("config.json", shape.ConfigJson());
    options.load_format = "dummy";
    options.model_dir = dir.path();
    Make(options);
  }
  // From a directory with weights.
  explicit Model(ModelBackendOptions options) { Make(options); }

  void Make(ModelBackendOptions options) {
    if (options.device == "auto") options.device = "cuda";
    if (options.max_num_seqs == 0) options.max_num_seqs = 37;
    if (options.max_num_batched_tokens == 0) options.max_num_batched_tokens = 512;
    if (options.kv_bytes == 0) options.kv_bytes = int64_t{64} << 20;
    if (options.device == "cuda") options.gemm_table_path = GemmTable();
    auto made = MakeModelBackend(options, &facts);
    EXPECT_TRUE(made.ok()) << made.status();
    if (made.ok()) backend = *std::move(made);
  }
  Backend& operator*() const { return *backend; }

  TempDir dir;
  LoadFacts facts;
  std::unique_ptr<Backend> backend;
};

// Prompts whose lengths lie around the ends of blocks, each token with its logprobs.
std::vector<Request> SomeRequests(int count, int vocab_size = 211, int num_new_tokens = 20) {
  constexpr int kLengths[] = {1, 15, 16, 17, 31, 32, 33, 2, 48, 63, 90, 5, 128, 129, 200, 64};
  std::vector<Request> requests;
  for (int i = 0; i < count; ++i) {
    requests.push_back({.prompt = MakePrompt(kLengths[i % 16] + i / 16, i, vocab_size),
                        .num_new_tokens = num_new_tokens,
                        .sampling = {.temperature = 0, .num_logprobs = 2}});
  }
  return requests;
}

std::vector<Output> RunEachAlone(Backend& backend, const std::vector<Request>& requests) {
  return RunRequests(backend, requests, {.max_rows = 1});
}

std::vector<std::vector<TokenId>> TokensOf(const std::vector<Output>& outputs) {
  std::vector<std::vector<TokenId>> tokens;
  for (const Output& output : outputs) tokens.push_back(output.tokens);
  return tokens;
}

// How streams compare with expected ones of the same requests.
struct Agreement {
  int num_same = 0;    // tokens before a stream parts
  int num_parted = 0;  // streams
  double worst = 0;    // difference of a token's logprob, before that

  // Of tokens with the same history.
  double rate() const { return static_cast<double>(num_same) / (num_same + num_parted); }
  std::string ToString() const {
    return absl::StrFormat("%d tokens the same, %d streams part, logprobs within %.2g", num_same,
                           num_parted, worst);
  }
};

// Each greedy stream is the expected one up to where rounding decides: a token may
// differ if there the best two are within twice the noise of one logprob.
Agreement ExpectSameUpToRounding(const std::vector<Output>& outputs,
                                 const std::vector<Output>& expected, float noise) {
  Agreement agreement;
  EXPECT_EQ(outputs.size(), expected.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Output &got = outputs[i], &want = expected[i];
    EXPECT_EQ(got.tokens.size(), want.tokens.size());
    // A resumed request has no logprobs of what was delivered.
    const size_t num_delivered = got.tokens.size() - got.logprobs.size();
    for (size_t t = num_delivered; t < want.tokens.size(); ++t) {
      const TokenLogprobs& there = want.logprobs[t];
      if (got.tokens[t] != want.tokens[t]) {
        EXPECT_LE(there.top_logprobs[0] - there.top_logprobs[1], 2 * noise)
            << "stream " << i << " parts at token " << t << ", where nothing was close";
        ++agreement.num_parted;
        break;
      }
      ++agreement.num_same;
      const double difference =
          std::abs(double{got.logprobs[t - num_delivered].logprob} - there.logprob);
      EXPECT_LE(difference, noise) << "stream " << i << ", token " << t;
      agreement.worst = std::max(agreement.worst, difference);
    }
  }
  return agreement;
}

// The same requests, each in two halves: a second process continues the first's.
std::vector<Request> Resumed(std::vector<Request> requests, const std::vector<Output>& outputs,
                             int num_delivered) {
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].delivered.assign(outputs[i].tokens.begin(),
                                 outputs[i].tokens.begin() + num_delivered);
  }
  return requests;
}

// Twice the same requests, the second time behind as many blocks of the first's as there
// are whole ones before the last token.
std::vector<Request> WithCachedPrefixes(std::vector<Request> requests) {
  const int count = static_cast<int>(requests.size());
  for (int i = 0; i < count; ++i) {
    Request request = requests[i];
    request.num_prefix_blocks = (static_cast<int>(request.prompt.size()) - 1) / 16;
    if (request.num_prefix_blocks > 0) request.prefix_of = i;
    requests.push_back(request);
  }
  return requests;
}

class CudaBackendTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (absl::Status usable = GpuIsUsable(); !usable.ok()) GTEST_SKIP() << usable.message();
  }
};

// ---- however it is cut ----

struct Numbers {
  const char* dtype;
  const char* kv_dtype;
  float noise;             // of a logprob, by rounding
  double least_agreement;  // with random weights the best two are often close
};

class HoweverCut
    : public CudaBackendTest,
      public ::testing::WithParamInterface<std::tuple<Numbers, bool /*heads of 128*/>> {
 protected:
  TinyModel shape() const { return std::get<1>(GetParam()) ? Heads128() : Heads64(); }
  Numbers numbers() const { return std::get<0>(GetParam()); }
  ModelBackendOptions Options() const {
    return {.dtype = numbers().dtype, .kv_cache_dtype = numbers().kv_dtype};
  }

  void ExpectSame(const char* how, const std::vector<Output>& outputs,
                  const std::vector<Output>& expected) {
    SCOPED_TRACE(how);
    const Agreement agreement = ExpectSameUpToRounding(outputs, expected, numbers().noise);
    std::printf("%-18s %s\n", how, agreement.ToString().c_str());
    EXPECT_GE(agreement.rate(), numbers().least_agreement);
  }
};

INSTANTIATE_TEST_SUITE_P(
    , HoweverCut,
    ::testing::Combine(::testing::Values(Numbers{"float32", "auto", 2e-5f, 1},
                                         Numbers{"float16", "auto", 0.015f, 0.99},
                                         Numbers{"bfloat16", "auto", 0.08f, 0.97},
                                         Numbers{"bfloat16", "fp8", 0.2f, 0.95}),
                       ::testing::Bool()),
    [](const auto& info) {
      const Numbers& numbers = std::get<0>(info.param);
      return std::string(numbers.dtype) + (numbers.kv_dtype == std::string("fp8") ? "_fp8" : "") +
             (std::get<1>(info.param) ? "_heads128" : "_heads64");
    });

TEST_P(HoweverCut, OutputIsTheSame) {
  const Model model(shape(), Options());
  ModelBackendOptions eager_options = Options();
  eager_options.capture_graphs = false;
  const Model eager(shape(), eager_options);
  const auto requests = SomeRequests(48);
  const auto expected = RunEachAlone(*eager, requests);
  for (const Output& output : expected) ASSERT_EQ(output.tokens.size(), 20u);

  ExpectSame("alone, graphs", RunEachAlone(*model, requests), expected);
  ExpectSame("together", RunRequests(*model, requests), expected);
  ExpectSame("together, eager", RunRequests(*eager, requests), expected);

  auto chunked = requests;
  for (size_t i = 0; i < chunked.size(); ++i) {
    chunked[i].chunk = 1 + static_cast<int>(i * 7 % 40);
    chunked[i].arrival = static_cast<int>(i) * 2;
  }
  ExpectSame("chunked, staggered", RunRequests(*model, chunked, {.steps_in_flight = 2}), expected);
  // Steps of single tokens of which some sample and some do not: no graph holds those.
  for (Request& request : chunked) request.chunk = 1, request.arrival = 0;
  ExpectSame("token by token", RunRequests(*model, chunked, {.steps_in_flight = 2}), expected);
  ExpectSame("in other blocks", RunRequests(*model, requests, {.block_seed = 99}), expected);
  ExpectSame("resumed", RunRequests(*model, Resumed(requests, expected, 7)), expected);

  auto twice = expected;
  twice.insert(twice.end(), expected.begin(), expected.end());
  ExpectSame("cached prefixes",
             RunRequests(*model, WithCachedPrefixes(requests), {.steps_in_flight = 2}), twice);

  // Streams end one by one, so that every number of rows occurs.
  auto ending = SomeRequests(37);
  for (int i = 0; i < 37; ++i) ending[i].num_new_tokens = 4 + i;
  ExpectSame("37 rows down to 1", RunRequests(*model, ending), RunEachAlone(*eager, ending));
}

TEST_P(HoweverCut, TwoStepsInFlightAreOneAtATimeToTheBit) {
  const Model model(shape(), Options());
  auto requests = SomeRequests(60);
  for (size_t i = 0; i < requests.size(); ++i) requests[i].arrival = static_cast<int>(i) / 3;
  const auto one = RunRequests(*model, requests, {.steps_in_flight = 1});
  EXPECT_EQ(RunRequests(*model, requests, {.steps_in_flight = 2}), one);
  // And run again: nothing of earlier sequences is left.
  EXPECT_EQ(RunRequests(*model, requests, {.steps_in_flight = 2, .block_seed = 5}), one);
}

TEST_P(HoweverCut, GraphsAreEagerStepsToTheBit) {
  const Model graphs(shape(), Options());
  ModelBackendOptions options = Options();
  options.capture_graphs = false;
  const Model eager(shape(), options);
  // Captured sizes: no step is padded.
  for (int rows : {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24, 32, 37}) {
    const auto requests = SomeRequests(rows);
    EXPECT_EQ(RunRequests(*graphs, requests), RunRequests(*eager, requests)) << rows << " rows";
  }
}

// ---- sampling ----

std::vector<Request> SampledRequests(int count) {
  std::vector<Request> requests = SomeRequests(count, 211, 40);
  for (int i = 0; i < count; ++i) {
    SamplingParams& p = requests[i].sampling;
    p = {.temperature = 0.5f + 0.1f * static_cast<float>(i % 8),
         .seed = static_cast<uint64_t>(i) * 977,
         .num_logprobs = i % 6};
    if (i % 2 == 0) p.top_p = 0.9f;
    if (i % 3 == 0) p.top_k = 20;
    if (i % 5 == 0) p.min_p = 0.02f;
    if (i % 4 == 1) p.repetition_penalty = 1.2f;
    if (i % 4 == 2) p.presence_penalty = 0.7f, p.frequency_penalty = 0.4f;
    if (i % 7 == 3) p.logit_bias = {{3, 4.0f}, {200, 2.5f}, {17, -100.0f}};
    if (i % 6 == 4) p.min_tokens = 30, p.stop_token_ids = {5, 60, 61, 62, 210};
    if (i % 9 == 8) p.temperature = 0;
  }
  return requests;
}

TEST_F(CudaBackendTest, SamplesWhatTheCpuSamples) {
  const Model gpu(Heads64(), {.dtype = "float32"});
  const Model cpu(Heads64(), {.device = "cpu", .dtype = "float32"});
  const auto requests = SampledRequests(72);
  const auto expected = RunRequests(*cpu, requests);
  const auto outputs = RunRequests(*gpu, requests, {.steps_in_flight = 2});
  int num_parted = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const Output &got = outputs[i], &want = expected[i];
    ASSERT_EQ(got.tokens.size(), want.tokens.size());
    ASSERT_EQ(got.logprobs.size(), want.logprobs.size());
    for (size_t t = 0; t < want.tokens.size(); ++t) {
      if (got.tokens[t] != want.tokens[t]) {
        ++num_parted;
        break;
      }
      EXPECT_NEAR(got.logprobs[t].logprob, want.logprobs[t].logprob, 1e-4);
      EXPECT_EQ(got.logprobs[t].top_tokens, want.logprobs[t].top_tokens);
      EXPECT_THAT(got.logprobs[t].top_logprobs,
                  ::testing::Pointwise(::testing::FloatNear(1e-4f), want.logprobs[t].top_logprobs));
    }
  }
  // 2,880 draws, each within 1e-5 or so of a border with that probability.
  std::printf("%d of %zu sampled streams part from the CPU's\n", num_parted, requests.size());
  EXPECT_LE(num_parted, 1);
}

TEST_F(CudaBackendTest, PromptLogprobsAreTheCpusHoweverTheStepsAreCut) {
  const Model gpu(Heads64(), {.dtype = "float32"});
  const Model cpu(Heads64(), {.device = "cpu", .dtype = "float32"});
  std::vector<Request> requests = SomeRequests(32, 211, 6);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (i % 3 != 0) requests[i].sampling.num_prompt_logprobs = static_cast<int>(i % 21);
    requests[i].arrival = static_cast<int>(i) / 2;
    requests[i].chunk = i % 2 == 0 ? 1 + static_cast<int>(i) : 1000;
  }
  const auto expected = RunRequests(*cpu, requests);
  const auto outputs = RunRequests(*gpu, requests, {.steps_in_flight = 2});
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const PromptLogprobs &got = outputs[i].prompt_logprobs, &want = expected[i].prompt_logprobs;
    ASSERT_EQ(got.size(), want.size());
    const auto near = [](const std::vector<float>& values) {
      return ::testing::Pointwise(::testing::FloatNear(1e-4f), values);
    };
    EXPECT_THAT(got.logprobs, near(want.logprobs));
    EXPECT_THAT(got.top_logprobs, near(want.top_logprobs));
    EXPECT_EQ(got.ranks, want.ranks);
    EXPECT_EQ(got.top_tokens, want.top_tokens);
    EXPECT_EQ(outputs[i].tokens, expected[i].tokens);
  }
}

TEST_F(CudaBackendTest, SampledStreamsAreTheSameAloneResumedAndAmongOthers) {
  const Model model(Heads64(), {.dtype = "float32"});
  const auto requests = SampledRequests(36);
  const auto expected = RunEachAlone(*model, requests);
  EXPECT_EQ(TokensOf(RunRequests(*model, requests)), TokensOf(expected));
  EXPECT_EQ(TokensOf(RunRequests(*model, Resumed(requests, expected, 13))), TokensOf(expected));
}

// ---- a row that fails ----

TEST_F(CudaBackendTest, NonFiniteRowEndsAloneAndLeavesNothing) {
  // A token that the pass at the model's loading does not meet.
  constexpr TokenId kDamaged = 8;
  for (const char* dtype : {"float32", "bfloat16"}) {
    const TinyModel shape = Heads64();
    TempDir dir;
    dir.Write("config.json", shape.ConfigJson());
    auto tensors = testing::DummyTensors(shape.Config());
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (auto& tensor : tensors) {  // an embedding; the head is another matrix
      if (tensor.name != "model.embed_tokens.weight") continue;
      tensor.bytes.replace(kDamaged * 256 * 4 + 12, 4,
                           std::string(reinterpret_cast<const char*>(&nan), 4));
    }
    dir.Write("model.safetensors", testing::SafetensorsBytes(tensors));
    const Model model(ModelBackendOptions{.model_dir = dir.path(), .dtype = dtype});

    auto requests = SomeRequests(16);
    for (Request& request : requests) {
      std::replace(request.prompt.begin(), request.prompt.end(), kDamaged, 6);
      request.sampling.logit_bias = {{kDamaged, -100.0f}};
    }
    const auto expected = RunRequests(*model, requests);
    auto damaged = requests;
    damaged[3].prompt[9] = kDamaged;     // in a prompt of 17
    damaged[14].prompt[150] = kDamaged;  // of 200
    damaged[0].prompt[0] = kDamaged;     // of one
    for (int steps_in_flight : {1, 2}) {
      const auto outputs = RunRequests(*model, damaged, {.steps_in_flight = steps_in_flight});
      for (size_t i = 0; i < requests.size(); ++i) {
        SCOPED_TRACE(i);
        if (i == 0 || i == 3 || i == 14) {
          EXPECT_EQ(outputs[i].status, RowStatus::kNonFinite);
          EXPECT_TRUE(outputs[i].tokens.empty());
        }
      }
      auto others = [](std::vector<Output> all) {
        for (int i : {14, 3, 0}) all.erase(all.begin() + i);
        return all;
      };
      // Steps are smaller once the damaged have ended.
      if (dtype == std::string("float32")) {
        EXPECT_EQ(TokensOf(others(outputs)), TokensOf(others(expected)));
      }
      ExpectSameUpToRounding(others(outputs), others(expected), 0.1f);
    }
    // Their blocks hold NaN now, and others get them.
    EXPECT_EQ(RunRequests(*model, requests), expected) << dtype;
  }
}

// ---- slots and commands ----

TEST_F(CudaBackendTest, ResetForgetsStepsInFlight) {
  const Model model(Heads64(), {.dtype = "bfloat16"});
  const auto requests = SomeRequests(20);
  const auto expected = RunRequests(*model, requests);
  for (int num_begun : {1, 2}) {
    StepCommand command;
    for (int slot = 0; slot < 30; ++slot) {
      command.entries.push_back({.slot = slot,
                                 .tokens = MakePrompt(16, slot, 211),
                                 .num_prompt_tokens = 16,
                                 .sampling = {.temperature = 1, .num_logprobs = 3}});
      command.rows.push_back({.slot = slot, .num_tokens = 16, .new_blocks = {slot}});
    }
    ASSERT_TRUE((*model).Begin(command).ok());
    command.entries.clear();
    for (StepRow& row : command.rows) row.num_tokens = 1, row.new_blocks[0] += 30;
    if (num_begun == 2) {
      ASSERT_TRUE((*model).Begin(command).ok());
    }
    (*model).Reset();
    EXPECT_EQ(RunRequests(*model, requests, {.steps_in_flight = 2}), expected);
  }
}

TEST_F(CudaBackendTest, CommandsBeyondTheContextAreRefused) {
  const Model model(Heads64(), {.max_model_len = 40});
  ASSERT_EQ((*model).limits().max_context_tokens, 40);
  const auto refused = [&](StepCommand command) {
    return (*model).Begin(command).code() == absl::StatusCode::kInvalidArgument;
  };
  const SlotEntry entry = {
      .tokens = MakePrompt(40, 1, 211), .num_prompt_tokens = 40, .sampling = {.temperature = 0}};
  // Three blocks hold the context: a fourth would lie in the next slot's table.
  SlotEntry too_many = entry;
  too_many.blocks = {0, 1, 2, 3};
  EXPECT_TRUE(refused({.entries = {too_many}}));
  EXPECT_TRUE(refused(
      {.entries = {entry}, .rows = {{.slot = 0, .num_tokens = 40, .new_blocks = {0, 1, 2, 3}}}}));
  // A token sampled behind the context's last one is never computed.
  ASSERT_TRUE((*model)
                  .Execute({.entries = {entry},
                            .rows = {{.slot = 0, .num_tokens = 40, .new_blocks = {0, 1, 2}}}})
                  .ok());
  EXPECT_TRUE(refused({.rows = {{.slot = 0, .num_tokens = 1}}}));
}

TEST_F(CudaBackendTest, EntriesBeyondOneStagingAreaArriveWhole) {
  // 256 sequences of 4,000 tokens with 1,000 biases each: 6 MB in one command. All but
  // the last of their tokens are one prompt, computed once.
  TinyModel shape = Heads64();
  shape.vocab_size = 1500;
  shape.max_position_embeddings = 4096;
  const Model model(shape, {.dtype = "float32",
                            .max_num_seqs = 256,
                            .max_num_batched_tokens = 8192,
                            .kv_bytes = int64_t{256} << 20});
  std::vector<Request> requests;
  const auto prompt = MakePrompt(4000, 0, 1500);
  for (int i = 0; i < 257; ++i) {
    Request request = {.prompt = prompt,
                       .num_new_tokens = 3,
                       .sampling = {.temperature = 0.8f, .repetition_penalty = 1.3f}};
    request.sampling.seed = i;
    for (int id = 0; id < 1000; ++id) {
      request.sampling.logit_bias.push_back({id, 0.01f * static_cast<float>((id * (i + 1)) % 90)});
    }
    if (i > 0) {
      const auto end = MakePrompt(16, i, 1500);
      std::copy(end.begin(), end.end(), request.prompt.end() - 16);
      request.prefix_of = 0;
      request.num_prefix_blocks = 249;
    }
    requests.push_back(request);
  }
  const auto outputs = RunRequests(*model, requests);
  const std::vector<int> some = {0, 1, 100, 199, 200, 201, 254, 255, 256};
  std::vector<Request> alone;
  for (int i : some) alone.push_back(requests[i]);
  const auto expected = RunEachAlone(*model, alone);
  for (size_t i = 0; i < some.size(); ++i) {
    EXPECT_EQ(outputs[some[i]].tokens, expected[i].tokens) << "sequence " << some[i];
  }
}

// ---- what it takes ----

TEST_F(CudaBackendTest, StepsTakeNoDeviceMemory) {
  const Model model(Heads64(), {.dtype = "bfloat16"});
  auto requests = SampledRequests(40);
  for (size_t i = 0; i < requests.size(); ++i) requests[i].arrival = static_cast<int>(i) * 5;
  RunRequests(*model, requests);  // the first of each kind
  // Other tests may share the GPU: of several times one must see it unchanged.
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < 5 && least != 0; ++i) {
    size_t before = 0, after = 0, total = 0;
    ASSERT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
    RunRequests(*model, requests, {.steps_in_flight = 2});  // some 240 steps
    ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
    least = std::min<int64_t>(least, std::abs(static_cast<int64_t>(before - after)));
  }
  EXPECT_EQ(least, 0);
}

TEST_F(CudaBackendTest, HeadsThatNoKernelKnowsAreRefused) {
  TinyModel shape = Heads64();
  shape.num_heads = 8;  // of 32
  TempDir dir;
  dir.Write("config.json", shape.ConfigJson());
  for (const char* dtype : {"float32", "float16", "bfloat16"}) {
    const auto made = MakeModelBackend(
        {.model_dir = dir.path(), .device = "cuda", .dtype = dtype, .load_format = "dummy"});
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(made.status().message()), HasSubstr("heads of 32"));
  }
}

TEST_F(CudaBackendTest, Fp8KvIsCloseTo16Bits) {
  for (const TinyModel& shape : {Heads64(), Heads128()}) {
    const Model wide(shape, {.dtype = "bfloat16"});
    const Model fp8(shape, {.dtype = "bfloat16", .kv_cache_dtype = "fp8"});
    EXPECT_LT(2 * fp8.facts.kv_bytes / fp8.facts.num_blocks,
              1.13 * static_cast<double>(wide.facts.kv_bytes) / wide.facts.num_blocks);
    // Streams of one token: no difference builds on another.
    const auto requests = SomeRequests(400, 211, 1);
    const auto expected = RunRequests(*wide, requests), outputs = RunRequests(*fp8, requests);
    int num_same = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      num_same += outputs[i].tokens == expected[i].tokens;
    }
    std::printf("fp8 KV: %d of %zu tokens are those of 16 bits\n", num_same, requests.size());
    EXPECT_GE(num_same, 360);
    std::printf("  %s\n", ExpectSameUpToRounding(outputs, expected, 0.3f).ToString().c_str());
  }
}

// ---- the models that ship ----

class DemoModel : public CudaBackendTest, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(, DemoModel, ::testing::Values("math", "r1"),
                         [](const auto& info) { return std::string(info.param); });

// Rows with a grammar beside rows without, in steps that wait for masks and in others.
TEST_P(DemoModel, FollowsGrammarsAsOnTheCpu) {
  const std::string dir = std::string(WEFT_SOURCE_DIR) + "/models/weft-demo-" + GetParam();
  const auto tokenizer = text::Tokenizer::Load(dir);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::vector<TokenId> eos = {(*tokenizer)->eos_id()};
  const Grammar grammars[] = {
      {Grammar::Kind::kJsonSchema, R"({"type":"object","properties":{"steps":{"type":"array",
          "items":{"type":"string","maxLength":20},"maxItems":3},"answer":{"type":"integer",
          "minimum":0,"maximum":9999}},"required":["steps","answer"],
          "additionalProperties":false})"},
      {Grammar::Kind::kRegex, "[A-Z][a-z]{3,12}( [a-z]{2,9}){2}[.]"},
      {Grammar::Kind::kChoice, R"(["yes","no","perhaps"])"}};
  std::vector<Request> requests;
  for (int i = 0; i < 24; ++i) {
    Request request = {.prompt = MakePrompt(5 + 7 * i, i, (*tokenizer)->vocab_size()),
                       .num_new_tokens = 60,
                       .sampling = {.temperature = i % 2 ? 0.9f : 0.0f, .seed = uint64_t(i)},
                       .arrival = i / 3};
    request.sampling.stop_token_ids = eos;
    if (i % 4 != 3) request.sampling.grammar = grammars[i % 3];
    requests.push_back(std::move(request));
  }
  const auto run = [&](const char* device, int steps_in_flight) {
    const Model model(ModelBackendOptions{.model_dir = dir, .device = device, .dtype = "float32"});
    std::vector<std::vector<TokenId>> outputs =
        TokensOf(RunRequests(*model, requests, {.steps_in_flight = steps_in_flight}));
    // Behind the end anything may come.
    for (auto& tokens : outputs) {
      tokens.erase(std::find(tokens.begin(), tokens.end(), eos[0]), tokens.end());
    }
    return outputs;
  };
  const auto expected = run("cpu", 1);
  EXPECT_EQ(run("cuda", 1), expected);
  EXPECT_EQ(run("cuda", 2), expected);
  const auto compiler = text::GrammarCompiler::Start(*tokenizer);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!requests[i].sampling.grammar) continue;
    auto position = compiler->Compile(*requests[i].sampling.grammar);
    for (const TokenId token : expected[i]) EXPECT_TRUE(position->Consume(token).ok());
  }
}

TEST_P(DemoModel, AnswersAsOnTheCpu) {
  const std::string dir = std::string(WEFT_SOURCE_DIR) + "/models/weft-demo-" + GetParam();
  const auto tokenizer = text::Tokenizer::Load(dir);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto chat = text::ChatTemplate::Load(dir, *tokenizer);
  ASSERT_TRUE(chat.ok()) << chat.status();
  std::vector<Request> requests;
  for (const char* question :
       {"What is 17 + 25?", "Tom has 12 apples, buys 7 and eats 5. How many are left?",
        "What is 14 * 6?", "Anna reads 15 pages a day. How many pages does she read in 8 days?",
        "Hello!", "What is the capital of France?"}) {
    const auto prompt = (*chat)->Encode({{.role = "user", .content = question}}, {});
    ASSERT_TRUE(prompt.ok()) << prompt.status();
    requests.push_back({.prompt = *prompt,
                        .num_new_tokens = 120,
                        .sampling = {.temperature = 0, .num_logprobs = 2}});
  }
  const auto run = [&](const char* device, const char* dtype) {
    const Model model(ModelBackendOptions{.model_dir = dir, .device = device, .dtype = dtype});
    return RunRequests(*model, requests);
  };
  const auto expected = run("cpu", "float32");
  EXPECT_EQ(TokensOf(run("cuda", "float32")), TokensOf(expected));
  for (const char* dtype : {"float16", "bfloat16"}) {
    const Agreement agreement = ExpectSameUpToRounding(run("cuda", dtype), expected, 0.5f);
    std::printf("%s, %s: %s\n", GetParam(), dtype, agreement.ToString().c_str());
    EXPECT_GE(agreement.rate(), 0.99);
  }
}

}  // namespace
}  // namespace weft::worker
