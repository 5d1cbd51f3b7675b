#include "worker/bench/kernel_table.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>

#include "worker/bench/copy.h"
#include "worker/model/qwen2.h"
#include "worker/ops/cuda/cuda_status.h"
#include "worker/ops/cuda/dummy_weights.h"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/ops_cuda.h"
#include "worker/ops/cuda/sampling.h"

namespace weft::worker {
namespace {

using ops::Batch;
using ops::cuda::CudaOps;

// What an operation has to move and to compute, at least.
struct Work {
  double bytes = 0;
  double flops = 0;
};

struct LayerWeights {
  ops::Norm attention_norm, mlp_norm;
  at::Tensor qkv, qkv_bias, attention_out, gate_up, down;
};

// A step's arrays on the device, for rows of equal length.
struct DeviceBatch {
  Batch batch;
  DeviceBatch(CudaOps& ops, int num_rows, int num_tokens, int context) {
    const int blocks_per_row = ops::BlocksFor(context + num_tokens);
    std::vector<int32_t> ids, positions, starts, block_starts, blocks, logits, sums;
    for (int r = 0; r < num_rows; ++r) {
      starts.push_back(static_cast<int>(ids.size()));
      block_starts.push_back(static_cast<int>(blocks.size()));
      sums.push_back(r * blocks_per_row);
      for (int t = 0; t < num_tokens; ++t) {
        ids.push_back((r * 7919 + t * 31) % 1000);
        positions.push_back(context + t);
      }
      // Rows' blocks are strewn over the pool, as after a while of serving.
      for (int b = 0; b < blocks_per_row; ++b) blocks.push_back(b * num_rows + r);
      logits.push_back(static_cast<int>(ids.size()) - 1);
    }
    starts.push_back(static_cast<int>(ids.size()));
    sums.push_back(num_rows * blocks_per_row);
    num_blocks = static_cast<int>(blocks.size());
    const auto upload = [&](const std::vector<int32_t>& values) {
      auto* place = static_cast<int32_t*>(ops.memory().Take(values.size() * sizeof(int32_t)));
      cudaMemcpy(place, values.data(), values.size() * sizeof(int32_t), cudaMemcpyHostToDevice);
      return place;
    };
    const bool is_single = num_tokens == 1;
    batch = {.num_tokens = num_rows * num_tokens,
             .num_rows = num_rows,
             .num_single_rows = is_single ? num_rows : 0,
             .num_logits = num_rows,
             .token_ids = upload(ids),
             .positions = upload(positions),
             .row_starts = upload(starts),
             .block_starts = upload(block_starts),
             .blocks = upload(blocks),
             .logit_tokens = upload(logits),
             .single_block_sums = upload(sums)};
  }
  int num_blocks = 0;
};

class Table {
 public:
  Table(const KernelTableOptions& options, CudaOps& ops)
      : options_(options), c_(options.config), ops_(ops) {
    const at::ScalarType type = TorchType(options.dtype);
    const int64_t hidden = c_.hidden_size, mlp = c_.intermediate_size;
    const int64_t q = int64_t{c_.num_heads} * c_.head_dim;
    const auto weight = [&](at::IntArrayRef shape) {
      at::Tensor w = ops_.MakeWeight(shape, type);
      const ops::cuda::DummyNumbers numbers = {.key = static_cast<uint64_t>(++num_weights_) << 40,
                                               .half_width = 0.02f};
      ops::cuda::FillWithDummy(numbers, options_.dtype, w.numel(), w.mutable_data_ptr(),
                               ops_.stream());
      return w;
    };
    for (int i = 0; i < c_.num_layers; ++i) {
      layers_.push_back({.attention_norm = {weight({hidden}), c_.rms_norm_eps},
                         .mlp_norm = {weight({hidden}), c_.rms_norm_eps},
                         .qkv = weight({c_.qkv_size(), hidden}),
                         .qkv_bias = weight({c_.qkv_size()}),
                         .attention_out = weight({hidden, q}),
                         .gate_up = weight({2 * mlp, hidden}),
                         .down = weight({hidden, mlp})});
    }
    head_ = weight({c_.vocab_size, hidden});
  }

  absl::Status Print(const char* kind, int num_rows, int num_tokens, int context) {
    DeviceBatch device(ops_, num_rows, num_tokens, context);
    const Batch& batch = device.batch;
    const int64_t tokens = batch.num_tokens, hidden = c_.hidden_size, mlp = c_.intermediate_size;
    const int64_t q = int64_t{c_.num_heads} * c_.head_dim;
    const at::ScalarType type = TorchType(options_.dtype);
    const auto scratch = [&](int64_t columns, at::ScalarType of) {
      return ops_.MakeScratch({tokens, columns}, of);
    };
    at::Tensor x = scratch(hidden, type), qkv = scratch(c_.qkv_size(), type);
    at::Tensor attended = scratch(q, type), activated = scratch(mlp, type);
    at::Tensor cos = scratch(c_.head_dim / 2, at::kFloat),
               sin = scratch(c_.head_dim / 2, at::kFloat);
    at::Tensor logits = ops_.MakeScratch({batch.num_logits, c_.vocab_size}, at::kFloat);
    const int64_t layer_bytes =
        int64_t{device.num_blocks} * c_.num_kv_heads *
        ops::cuda::KvTileBytes(c_.head_dim,
                               options_.fp8_kv ? 1 : static_cast<int>(BytesOf(options_.dtype)));
    auto* pool = static_cast<char*>(ops_.memory().TakeZeroed(layer_bytes * c_.num_layers));
    ops_.Embedding(batch, head_, x);
    ops_.RotaryAngles(batch, c_.rope_theta, cos, sin);

    std::printf("%s, %d x %d tokens behind %d, %s%s\n", kind, num_rows, num_tokens, context,
                NameOf(options_.dtype), options_.fp8_kv ? ", fp8 KV" : "");
    std::printf("  %-28s %10s %10s %8s %10s\n", "operation", "us", "TB/s", "of copy", "TFLOP/s");
    const double bytes = static_cast<double>(BytesOf(options_.dtype));
    const auto product = [&](double n, double k, double m) {
      return Work{.bytes = bytes * (n * k + m * (n + k)), .flops = 2 * n * k * m};
    };
    const auto t = static_cast<double>(tokens);
    const double seen = context + (num_tokens + 1) / 2.0;  // by a token, on average
    const Work attention = {
        .bytes = static_cast<double>(layer_bytes) * context / std::max(1, context + num_tokens) +
                 bytes * t * static_cast<double>(c_.qkv_size() + q),
        .flops = 4 * t * seen * static_cast<double>(q)};
    const auto kv = [&](int i) { return ops::KvLayer{.keys = pool + i * layer_bytes}; };
    const ops::HeadShape heads = {c_.num_heads, c_.num_kv_heads, c_.head_dim};

    double sum_us = 0;
    const auto each = [&](const char* name, Work work, const std::function<void(int)>& run) {
      const double us = Time([&] {
        for (int i = 0; i < c_.num_layers; ++i) run(i);
      });
      sum_us += us;
      Line(name, us / c_.num_layers, work);
    };
    each("norm, q k v", product(c_.qkv_size(), hidden, t), [&](int i) {
      ops_.NormedLinear(x, layers_[i].attention_norm, layers_[i].qkv, layers_[i].qkv_bias, qkv);
    });
    each("rotation, KV, attention", attention,
         [&](int i) { ops_.Attention(qkv, cos, sin, batch, heads, kv(i), attended); });
    each("o, residual", product(hidden, q, t),
         [&](int i) { ops_.AddLinear(attended, layers_[i].attention_out, x); });
    each("norm, gate up, silu", product(2.0 * mlp, hidden, t), [&](int i) {
      ops_.NormedGatedLinear(x, layers_[i].mlp_norm, layers_[i].gate_up, activated);
    });
    each("down, residual", product(hidden, mlp, t),
         [&](int i) { ops_.AddLinear(activated, layers_[i].down, x); });
    const double head_us =
        Time([&] { ops_.Logits(batch, x, layers_[0].attention_norm, head_, logits); });
    sum_us += head_us;
    Line("norm, head", head_us, product(c_.vocab_size, hidden, batch.num_logits));
    const double sample_us = TimeSampling(logits);
    sum_us += sample_us;
    Line("sample, greedy", sample_us, {.bytes = static_cast<double>(logits.nbytes())});
    const double whole_us = Time([&] {
      ops_.Embedding(batch, head_, x);
      ops_.RotaryAngles(batch, c_.rope_theta, cos, sin);
      for (int i = 0; i < c_.num_layers; ++i) {
        const LayerWeights& l = layers_[i];
        ops_.NormedLinear(x, l.attention_norm, l.qkv, l.qkv_bias, qkv);
        ops_.Attention(qkv, cos, sin, batch, heads, kv(i), attended);
        ops_.AddLinear(attended, l.attention_out, x);
        ops_.NormedGatedLinear(x, l.mlp_norm, l.gate_up, activated);
        ops_.AddLinear(activated, l.down, x);
      }
      ops_.Logits(batch, x, layers_[0].attention_norm, head_, logits);
    });
    std::printf("  %-28s %10.1f\n  %-28s %10.1f\n", "all of these, one by one", sum_us,
                "the forward pass at once", whole_us);
    std::fflush(stdout);
    return ops_.error();
  }

  // Bytes a second that a plain copy moves, read and written counted.
  void MeasureCopy() {
    const int64_t bytes = int64_t{1} << 30;
    auto* from = static_cast<char*>(ops_.memory().Take(bytes));
    auto* to = static_cast<char*>(ops_.memory().Take(bytes));
    const double us = Time([&] { Copy(from, to, bytes, ops_.num_sms(), ops_.stream()); });
    copy_bytes_per_us_ = 2.0 * static_cast<double>(bytes) / us;
    std::printf("a copy moves %.2f TB/s\n", copy_bytes_per_us_ * 1e-6);
  }

 private:
  // Of rows whose sequences have one token each and want the best next one.
  double TimeSampling(const at::Tensor& logits) {
    ops::cuda::DeviceMemory& memory = ops_.memory();
    const int num_rows = static_cast<int>(logits.size(0));
    std::vector<int32_t> slots_of_rows(num_rows);
    std::iota(slots_of_rows.begin(), slots_of_rows.end(), 0);
    std::vector<ops::cuda::SlotSampling> greedy(num_rows, {.temperature = 0});
    const auto upload = [&]<class T>(const std::vector<T>& values) {
      auto* place = static_cast<T*>(memory.Take(values.size() * sizeof(T)));
      cudaMemcpy(place, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice);
      return place;
    };
    // Each sampled token makes its sequence longer, up to the last place of its row.
    constexpr int kTokensPerSlot = 1024;
    const int64_t words = int64_t{num_rows} * sizeof(int32_t);
    const ops::cuda::SampleArgs args = {
        .logits = logits.const_data_ptr<float>(),
        .vocab_stride = c_.vocab_size,
        .vocab_size = c_.vocab_size,
        .num_rows = num_rows,
        .row_slots = upload(slots_of_rows),
        .slots = upload(greedy),
        .tokens = static_cast<int32_t*>(memory.TakeZeroed(words * kTokensPerSlot)),
        .token_stride = kTokensPerSlot,
        .num_tokens = static_cast<int32_t*>(memory.TakeZeroed(words)),
        .ring = static_cast<ops::cuda::SampledRow*>(
            memory.TakeZeroed(int64_t{num_rows} * sizeof(ops::cuda::SampledRow))),
        .ring_steps = 1,
        .rows_per_step = num_rows,
        .step = static_cast<uint64_t*>(memory.TakeZeroed(sizeof(uint64_t)))};
    constexpr int kTimes = 8;  // in one graph, whose launch counts too
    return Time([&] {
             for (int i = 0; i < kTimes; ++i) {
               ops::cuda::Sample(args, ops::cuda::CurrentDevice(), ops_.stream());
             }
           }) /
           kTimes;
  }

  // Microseconds of one replay: the median of several rounds.
  double Time(const std::function<void()>& launch) {
    constexpr int kReplays = 5, kRounds = 7;
    cudaStream_t stream = ops_.stream();
    launch();  // kernels are loaded, algorithms found
    cudaStreamSynchronize(stream);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t replay = nullptr;
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
    launch();
    cudaStreamEndCapture(stream, &graph);
    cudaGraphInstantiate(&replay, graph, 0);
    cudaEvent_t begin, end;
    cudaEventCreate(&begin);
    cudaEventCreate(&end);
    std::vector<float> rounds;
    for (int round = 0; round < kRounds; ++round) {
      cudaEventRecord(begin, stream);
      for (int i = 0; i < kReplays; ++i) cudaGraphLaunch(replay, stream);
      cudaEventRecord(end, stream);
      cudaEventSynchronize(end);
      float ms = 0;
      cudaEventElapsedTime(&ms, begin, end);
      rounds.push_back(ms);
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    cudaGraphExecDestroy(replay);
    cudaGraphDestroy(graph);
    std::sort(rounds.begin(), rounds.end());
    return rounds[kRounds / 2] * 1e3 / kReplays;
  }

  void Line(const char* name, double us, const Work& work) const {
    std::printf("  %-28s %10.2f %10.2f %7.0f%% %10.1f\n", name, us, work.bytes / us * 1e-6,
                work.bytes / us / copy_bytes_per_us_ * 100, work.flops / us * 1e-6);
  }

  const KernelTableOptions& options_;
  const ModelConfig& c_;
  CudaOps& ops_;
  int num_weights_ = 0;
  std::vector<LayerWeights> layers_;
  at::Tensor head_;
  double copy_bytes_per_us_ = 1;
};

}  // namespace

absl::Status PrintKernelTable(const KernelTableOptions& options) {
  const ModelConfig& c = options.config;
  int max_tokens = 1, max_rows = 1;
  for (int batch : options.batches) max_rows = std::max(max_rows, batch);
  for (int tokens : options.prefills) max_tokens = std::max(max_tokens, tokens);
  max_tokens = std::max(max_tokens, max_rows);
  auto ops = CudaOps::Create(
      {.shape = {.max_tokens = max_tokens,
                 .max_logits = max_rows,
                 .hidden_size = c.hidden_size,
                 .intermediate_size = c.intermediate_size,
                 .dtype = TorchType(options.dtype)},
       .heads = {c.num_heads, c.num_kv_heads, c.head_dim},
       .dtype = options.dtype,
       .kv_format = options.fp8_kv ? ops::cuda::KvFormat::kFp8 : ops::cuda::KvFormat::kSameAsModel,
       .rope_theta = c.rope_theta,
       .max_single_rows = max_rows,
       .gemm_table_path = options.gemm_table_path});
  if (!ops.ok()) return ops.status();
  if (auto e = ops::cuda::PrepareSampling(ops::cuda::CurrentDevice()); e != cudaSuccess) {
    return ops::cuda::CudaStatus(e, "preparing the sampler");
  }
  if (auto s = (*ops)->Tune(c.qkv_size(), c.vocab_size); !s.ok()) return s;
  Table table(options, **ops);
  table.MeasureCopy();
  for (int batch : options.batches) {
    if (auto s = table.Print("decode", batch, 1, options.context - 1); !s.ok()) return s;
  }
  for (int tokens : options.prefills) {
    if (auto s = table.Print("prefill", 1, tokens, 0); !s.ok()) return s;
  }
  return ops::cuda::CudaStatus(cudaDeviceSynchronize(), "the kernel table");
}

}  // namespace weft::worker
