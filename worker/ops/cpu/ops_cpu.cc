// Checks shapes, cuts the work and hands raw pointers to the kernels.
#include "worker/ops/cpu/ops_cpu.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/check.h"
#include "worker/ops/cpu/kernels.h"
#include "worker/ops/cpu/thread_pool.h"

namespace weft::worker::ops {
namespace {

static_assert(kBlockTokens == cpu::kBlockTokens);

const cpu::Kernels& Best() {
  static const cpu::Kernels& kernels = *cpu::AvailableKernels().front();
  return kernels;
}

const cpu::KernelSet& KernelsFor(const at::Tensor& x) {
  WEFT_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
  return x.scalar_type() == at::kFloat ? Best().f32 : Best().bf16;
}

cpu::HeadDims Dims(HeadShape s) { return {s.num_heads, s.num_kv_heads, s.head_dim}; }

// Calls part(begin, end) for pieces of [0, count), multiples of `grain` but the
// last. A few pieces for each thread, so that one held up does not hold the rest.
void Split(int64_t count, int64_t grain, absl::FunctionRef<void(int64_t, int64_t)> part) {
  cpu::ThreadPool& pool = cpu::Pool();
  const int64_t grains = (count + grain - 1) / grain;
  const int64_t pieces = std::min<int64_t>(grains, int64_t{4} * pool.num_threads());
  pool.Run(static_cast<int>(pieces), [&](int i) {
    const int64_t begin = grains * i / pieces * grain;
    part(begin, std::min(count, grains * (i + 1) / pieces * grain));
  });
}

// Rows that are worth a thread's while.
int64_t RowGrain(int64_t row_size) { return std::max<int64_t>(1, 16384 / row_size); }

class CpuOps final : public Ops {
 public:
  explicit CpuOps(const StepShape& shape)
      : normed_(MakeScratch({std::max(shape.max_tokens, shape.max_logits), shape.hidden_size},
                            shape.dtype)),
        delta_(MakeScratch({shape.max_tokens, shape.hidden_size}, shape.dtype)),
        gate_up_(MakeScratch({shape.max_tokens, 2 * shape.intermediate_size}, shape.dtype)),
        kv_slots_(shape.max_tokens) {}

  // A decode step reads every weight once: on 4 KiB pages the processor spends a third
  // of that looking pages up.
  at::Tensor MakeWeight(at::IntArrayRef shape, at::ScalarType dtype) override {
    constexpr size_t kHugePage = size_t{2} << 20;
    at::Tensor weight = at::empty(shape, dtype);
    const auto begin = reinterpret_cast<uintptr_t>(weight.mutable_data_ptr());
    const uintptr_t first = (begin + kHugePage - 1) / kHugePage * kHugePage;
    const uintptr_t last = (begin + weight.nbytes()) / kHugePage * kHugePage;
    // Advice only: without huge pages it is slower, not wrong.
    if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
    return weight;
  }

  at::Tensor MakeScratch(at::IntArrayRef shape, at::ScalarType dtype) override {
    at::Tensor scratch = at::empty(shape, dtype);
    scratch_bytes_ += static_cast<int64_t>(scratch.nbytes());
    return scratch;
  }

  int64_t scratch_bytes() const override { return scratch_bytes_; }

  void Embedding(const Batch& batch, const at::Tensor& table, at::Tensor out) override {
    WEFT_CHECK(table.size(1) == out.size(1) && out.size(0) == batch.num_tokens);
    GatherRows(table, {batch.token_ids, static_cast<size_t>(batch.num_tokens)}, out);
  }

  void RotaryAngles(const Batch& batch, double theta, at::Tensor cos, at::Tensor sin) override;

  void NormedLinear(const at::Tensor& x, const Norm& norm, const at::Tensor& weight,
                    const at::Tensor& bias, at::Tensor out) override {
    const at::Tensor normed = FirstRows(normed_, x.size(0));
    RmsNorm(x, norm, normed);
    Linear(normed, weight, bias, out);
  }

  void Attention(at::Tensor qkv, const at::Tensor& cos, const at::Tensor& sin, const Batch& batch,
                 HeadShape shape, KvLayer kv, at::Tensor out) override {
    RotateAndStore(qkv, cos, sin, batch, shape, kv);
    Attend(qkv, batch, shape, kv, out);
  }

  void AddLinear(const at::Tensor& x, const at::Tensor& weight, at::Tensor out) override {
    const at::Tensor delta = FirstRows(delta_, x.size(0));
    Linear(x, weight, /*bias=*/{}, delta);
    Add(delta, out);
  }

  void NormedGatedLinear(const at::Tensor& x, const Norm& norm, const at::Tensor& gate_up,
                         at::Tensor out) override {
    const at::Tensor both = FirstRows(gate_up_, x.size(0));
    NormedLinear(x, norm, gate_up, /*bias=*/{}, both);
    SiluMul(both, out);
  }

  void Logits(const Batch& batch, const at::Tensor& x, const Norm& norm, const at::Tensor& head,
              at::Tensor out) override {
    // Norm and gathering change places with no effect; gathered rows are fewer.
    const at::Tensor last = FirstRows(delta_, batch.num_logits);
    GatherRows(x, {batch.logit_tokens, static_cast<size_t>(batch.num_logits)}, last);
    NormedLinear(last, norm, head, /*bias=*/{}, out);
  }

 private:
  static void GatherRows(const at::Tensor& x, std::span<const int32_t> rows, at::Tensor out);
  static void RmsNorm(const at::Tensor& x, const Norm& norm, at::Tensor out);
  static void Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                     at::Tensor out);
  static void Add(const at::Tensor& delta, at::Tensor out);
  static void SiluMul(const at::Tensor& gate_up, at::Tensor out);
  void RotateAndStore(at::Tensor qkv, const at::Tensor& cos, const at::Tensor& sin,
                      const Batch& batch, HeadShape shape, KvLayer kv);
  static void Attend(const at::Tensor& qkv, const Batch& batch, HeadShape shape, KvLayer kv,
                     at::Tensor out);

  int64_t scratch_bytes_ = 0;
  at::Tensor normed_, delta_;      // [max tokens, H]
  at::Tensor gate_up_;             // [max tokens, 2 I]
  std::vector<int32_t> kv_slots_;  // by token: block * 16 + place in the block
};

void CpuOps::GatherRows(const at::Tensor& x, std::span<const int32_t> rows, at::Tensor out) {
  WEFT_CHECK(x.scalar_type() == out.scalar_type());
  const int64_t row_bytes = x.size(1) * x.element_size();
  const char* from = static_cast<const char*>(x.const_data_ptr());
  char* to = static_cast<char*>(out.mutable_data_ptr());
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(to + i * row_bytes, from + rows[i] * row_bytes, row_bytes);
  }
}

void CpuOps::RmsNorm(const at::Tensor& x, const Norm& norm, at::Tensor out) {
  const cpu::NormArgs args = {.x = x.const_data_ptr(),
                              .weight = norm.weight.const_data_ptr(),
                              .out = out.mutable_data_ptr(),
                              .hidden = x.size(1),
                              .epsilon = norm.epsilon};
  const auto kernel = KernelsFor(x).rms_norm;
  Split(x.size(0), RowGrain(x.size(1)),
        [&](int64_t begin, int64_t end) { kernel(args, begin, end); });
}

void CpuOps::Add(const at::Tensor& delta, at::Tensor out) {
  const cpu::AddArgs args = {.delta = delta.const_data_ptr(), .out = out.mutable_data_ptr()};
  const auto kernel = KernelsFor(out).add;
  Split(out.numel(), 16384, [&](int64_t begin, int64_t end) { kernel(args, begin, end); });
}

void CpuOps::Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::Tensor out) {
  WEFT_CHECK(x.size(1) == weight.size(1) && out.size(1) == weight.size(0) &&
             out.size(0) == x.size(0) && x.scalar_type() == weight.scalar_type());
  const cpu::GemmArgs args = {.x = x.const_data_ptr(),
                              .w = weight.const_data_ptr(),
                              .bias = bias.defined() ? bias.const_data_ptr() : nullptr,
                              .out = out.mutable_data_ptr(),
                              .m = x.size(0),
                              .n = weight.size(0),
                              .k = x.size(1)};
  const cpu::KernelSet& kernels = KernelsFor(x);
  const auto kernel = out.scalar_type() == at::kFloat ? kernels.gemm_f32 : kernels.gemm;
  // Sixteen columns: no two threads write one cache line of out.
  Split(args.n, 16, [&](int64_t begin, int64_t end) { kernel(args, begin, end); });
}

void CpuOps::RotaryAngles(const Batch& batch, double theta, at::Tensor cos, at::Tensor sin) {
  const int64_t half = cos.size(1);
  std::vector<float> inverse(half);
  for (int64_t i = 0; i < half; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half);
    inverse[i] = 1.0f / std::pow(static_cast<float>(theta), exponent);
  }
  float* to_cos = cos.mutable_data_ptr<float>();
  float* to_sin = sin.mutable_data_ptr<float>();
  Split(batch.num_tokens, 64, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = 0; i < half; ++i) {
        const float angle = static_cast<float>(batch.positions[t]) * inverse[i];
        to_cos[t * half + i] = std::cos(angle);
        to_sin[t * half + i] = std::sin(angle);
      }
    }
  });
}

void CpuOps::RotateAndStore(at::Tensor qkv, const at::Tensor& cos, const at::Tensor& sin,
                            const Batch& batch, HeadShape shape, KvLayer kv) {
  for (int row = 0; row < batch.num_rows; ++row) {
    const int32_t* blocks = batch.blocks + batch.block_starts[row];
    for (int t = batch.row_starts[row]; t < batch.row_starts[row + 1]; ++t) {
      const int position = batch.positions[t];
      kv_slots_[t] = blocks[position / kBlockTokens] * kBlockTokens + position % kBlockTokens;
    }
  }
  const cpu::RopeArgs args = {.qkv = qkv.mutable_data_ptr(),
                              .cos = cos.const_data_ptr<float>(),
                              .sin = sin.const_data_ptr<float>(),
                              .slots = kv_slots_.data(),
                              .kv = {kv.keys, kv.values},
                              .dims = Dims(shape)};
  const auto kernel = KernelsFor(qkv).rope_and_store;
  Split(batch.num_tokens, RowGrain(qkv.size(1)),
        [&](int64_t begin, int64_t end) { kernel(args, begin, end); });
}

void CpuOps::Attend(const at::Tensor& qkv, const Batch& batch, HeadShape shape, KvLayer kv,
                    at::Tensor out) {
  const cpu::AttentionArgs args = {.qkv = qkv.const_data_ptr(),
                                   .kv = {kv.keys, kv.values},
                                   .out = out.mutable_data_ptr(),
                                   .dims = Dims(shape)};
  const auto kernel = KernelsFor(qkv).attend;
  const int group = shape.num_heads / shape.num_kv_heads;
  WEFT_CHECK(group <= cpu::kMaxGroup && shape.head_dim <= cpu::kMaxHeadDim);

  // A prompt's tokens share a pass over the KV, as many as a task can hold.
  const int max_tokens = std::max(1, cpu::kMaxGroup / 2 / group);
  std::vector<cpu::AttentionTask> tasks;
  for (int row = 0; row < batch.num_rows; ++row) {
    const int end = batch.row_starts[row + 1];
    for (int token = batch.row_starts[row]; token < end; token += max_tokens) {
      for (int head = 0; head < shape.num_kv_heads; ++head) {
        tasks.push_back({.blocks = batch.blocks + batch.block_starts[row],
                         .first_token = token,
                         .num_tokens = std::min(max_tokens, end - token),
                         .first_position = batch.positions[token],
                         .kv_head = head});
      }
    }
  }
  cpu::Pool().Run(static_cast<int>(tasks.size()), [&](int i) { kernel(args, tasks[i]); });
}

void CpuOps::SiluMul(const at::Tensor& gate_up, at::Tensor out) {
  WEFT_CHECK(gate_up.size(1) == 2 * out.size(1) && gate_up.size(0) == out.size(0));
  const cpu::SiluArgs args = {.gate_up = gate_up.const_data_ptr(),
                              .out = out.mutable_data_ptr(),
                              .intermediate = out.size(1)};
  const auto kernel = KernelsFor(gate_up).silu_mul;
  Split(out.size(0), RowGrain(out.size(1)),
        [&](int64_t begin, int64_t end) { kernel(args, begin, end); });
}

}  // namespace

std::unique_ptr<Ops> MakeCpuOps(const StepShape& shape) { return std::make_unique<CpuOps>(shape); }

namespace cpu {

KvPool::KvPool(HeadShape shape, int num_layers, int num_blocks, at::ScalarType dtype) {
  const int64_t size = int64_t{shape.head_dim} * kBlockTokens;
  for (int i = 0; i < num_layers; ++i) {
    for (int part = 0; part < 2; ++part) {
      tensors_.push_back(at::empty({num_blocks, shape.num_kv_heads, size}, dtype));
    }
    layers_.push_back({.keys = tensors_[2 * i].mutable_data_ptr(),
                       .values = tensors_[2 * i + 1].mutable_data_ptr()});
  }
}

}  // namespace cpu
}  // namespace weft::worker::ops
