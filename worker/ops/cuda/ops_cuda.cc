#include "worker/ops/cuda/ops_cuda.h"

#include <cmath>

#include "common/check.h"
#include "worker/ops/cuda/cuda_status.h"
#include "worker/ops/cuda/elementwise.h"
#include "worker/ops/cuda/rms_norm.h"
#include "worker/ops/cuda/tile_linear.h"

namespace weft::worker::ops::cuda {
namespace {

// Where cuBLASLt's algorithms are measured; between them the next larger one's holds.
constexpr int kTunedTokens[] = {1, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192};

}  // namespace

absl::StatusOr<std::unique_ptr<CudaOps>> CudaOps::Create(const CudaOpsOptions& options) {
  std::unique_ptr<CudaOps> ops(new CudaOps(options));
  if (auto s = ops->Init(); !s.ok()) return s;
  return ops;
}

absl::Status CudaOps::Init() {
  if (std::string why = WhyUnusable(device_); !why.empty()) {
    return absl::FailedPreconditionError(why);
  }
  if (auto e = cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking); e != cudaSuccess) {
    return CudaStatus(e, "cudaStreamCreate");
  }
  for (auto prepare : {&PrepareSkinnyLinear, &PrepareTileLinear, &PrepareDecodeAttention,
                       &PreparePrefillAttention}) {
    if (auto e = prepare(device_); e != cudaSuccess) return CudaStatus(e, "preparing kernels");
  }
  auto blas = Blas::Create({.table_path = options_.gemm_table_path});
  if (!blas.ok()) return blas.status();
  blas_ = *std::move(blas);

  const StepShape& shape = options_.shape;
  normed_ =
      MakeScratch({std::max(shape.max_tokens, shape.max_logits), shape.hidden_size}, shape.dtype);
  gate_up_ = MakeScratch({shape.max_tokens, 2 * shape.intermediate_size}, shape.dtype);
  const AttentionShape heads = {options_.heads.num_heads, options_.heads.num_kv_heads,
                                options_.heads.head_dim};
  const auto workspace_bytes =
      static_cast<int64_t>(AttentionWorkspaceBytes(heads, options_.max_single_rows, device_));
  attention_workspace_ = memory_.TakeZeroed(workspace_bytes);
  scratch_bytes_ += workspace_bytes;

  std::vector<float> inverse(options_.heads.head_dim / 2);
  for (size_t i = 0; i < inverse.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * inverse.size());
    inverse[i] = 1.0f / std::pow(static_cast<float>(options_.rope_theta), exponent);
  }
  inverse_frequencies_ = static_cast<float*>(memory_.Take(inverse.size() * sizeof(float)));
  const auto e = cudaMemcpy(inverse_frequencies_, inverse.data(), inverse.size() * sizeof(float),
                            cudaMemcpyHostToDevice);
  return CudaStatus(e, "cudaMemcpy");
}

CudaOps::~CudaOps() {
  if (stream_ != nullptr) {
    cudaStreamSynchronize(stream_);
    cudaStreamDestroy(stream_);
  }
}

absl::Status CudaOps::Tune(int64_t qkv_size, int64_t vocab_size) {
  const int hidden = options_.shape.hidden_size, mlp = options_.shape.intermediate_size;
  const int q = options_.heads.num_heads * options_.heads.head_dim;
  const DType type = options_.dtype;
  const Gemm layers[] = {
      {.dtype = type,
       .out_dtype = type,
       .n = static_cast<int>(qkv_size),
       .k = hidden,
       .has_bias = true},
      {.dtype = type, .out_dtype = type, .n = hidden, .k = q, .accumulate = true},
      {.dtype = type, .out_dtype = type, .n = 2 * mlp, .k = hidden},
      {.dtype = type, .out_dtype = type, .n = hidden, .k = mlp, .accumulate = true},
  };
  const auto up_to = [](int most) {
    std::vector<int> tokens;
    for (int t : kTunedTokens) {
      tokens.push_back(t);
      if (t >= most) break;
    }
    return tokens;
  };
  for (const Gemm& gemm : layers) {
    if (auto s = blas_->Tune(gemm, up_to(options_.shape.max_tokens)); !s.ok()) return s;
  }
  const Gemm head = {
      .dtype = type, .out_dtype = DType::kFloat32, .n = static_cast<int>(vocab_size), .k = hidden};
  if (auto s = blas_->Tune(head, up_to(options_.shape.max_logits)); !s.ok()) return s;
  return blas_->SaveTable();
}

at::Tensor CudaOps::Make(at::IntArrayRef shape, at::ScalarType dtype) {
  void* data =
      memory_.Take(c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(dtype)));
  return View(data, shape, dtype, at::Device(at::kCUDA, 0));
}

at::Tensor CudaOps::MakeWeight(at::IntArrayRef shape, at::ScalarType dtype) {
  return Make(shape, dtype);
}

at::Tensor CudaOps::MakeScratch(at::IntArrayRef shape, at::ScalarType dtype) {
  at::Tensor scratch = Make(shape, dtype);
  scratch_bytes_ += static_cast<int64_t>(scratch.nbytes());
  return scratch;
}

void CudaOps::Check(cudaError_t error, const char* what) {
  if (error_.ok()) error_ = CudaStatus(error, what);
}

void CudaOps::Embedding(const Batch& batch, const at::Tensor& table, at::Tensor out) {
  Check(cuda::Embedding({.dtype = options_.dtype,
                         .table = table.const_data_ptr(),
                         .ids = batch.token_ids,
                         .out = out.mutable_data_ptr(),
                         .num_tokens = batch.num_tokens,
                         .hidden_size = static_cast<int>(table.size(1))},
                        stream_),
        "embedding");
}

void CudaOps::RotaryAngles(const Batch& batch, double theta, at::Tensor cos, at::Tensor sin) {
  WEFT_CHECK(theta == options_.rope_theta);
  Check(cuda::RotaryAngles({.positions = batch.positions,
                            .inverse_frequencies = inverse_frequencies_,
                            .cos = cos.mutable_data_ptr<float>(),
                            .sin = sin.mutable_data_ptr<float>(),
                            .num_tokens = batch.num_tokens,
                            .head_dim = options_.heads.head_dim},
                           stream_),
        "rotary angles");
}

namespace {

LinearArgs ArgsOf(DType dtype, Epilogue epilogue, const at::Tensor& x, const at::Tensor& weight,
                  at::Tensor& out) {
  return {.dtype = dtype,
          .epilogue = epilogue,
          .num_tokens = static_cast<int>(x.size(0)),
          .n = static_cast<int>(out.size(1)),
          .k = static_cast<int>(x.size(1)),
          .x = x.const_data_ptr(),
          .weight = weight.const_data_ptr(),
          .out = out.mutable_data_ptr()};
}

}  // namespace

bool CudaOps::RunFused(LinearArgs args, const Norm* norm) {
  if (norm != nullptr) {
    args.norm_weight = norm->weight.const_data_ptr();
    args.epsilon = norm->epsilon;
  }
  if (args.num_tokens >= kMinTileTokens && FitsTileLinear(args, device_)) {
    Check(TileLinear(args, device_, stream_), "linear of some dozens of tokens");
    return true;
  }
  if (FitsSkinnyLinear(args, device_)) {
    Check(SkinnyLinear(args, device_, stream_), "linear of few tokens");
    return true;
  }
  return false;
}

void CudaOps::NormedLinear(const at::Tensor& x, const Norm& norm, const at::Tensor& weight,
                           const at::Tensor& bias, at::Tensor out) {
  LinearArgs args = ArgsOf(options_.dtype, Epilogue::kStore, x, weight, out);
  args.bias = bias.defined() ? bias.const_data_ptr() : nullptr;
  if (RunFused(args, &norm)) return;
  const at::Tensor normed = RunNorm(x.const_data_ptr(), x.size(0), norm, /*rows=*/nullptr);
  RunGemm(normed, weight, bias, /*accumulate=*/false, out);
}

void CudaOps::AddLinear(const at::Tensor& x, const at::Tensor& weight, at::Tensor out) {
  const LinearArgs args = ArgsOf(options_.dtype, Epilogue::kAdd, x, weight, out);
  if (RunFused(args, /*norm=*/nullptr)) return;
  RunGemm(x, weight, /*bias=*/{}, /*accumulate=*/true, out);
}

void CudaOps::NormedGatedLinear(const at::Tensor& x, const Norm& norm, const at::Tensor& gate_up,
                                at::Tensor out) {
  if (RunFused(ArgsOf(options_.dtype, Epilogue::kSiluMul, x, gate_up, out), &norm)) return;
  const at::Tensor normed = RunNorm(x.const_data_ptr(), x.size(0), norm, /*rows=*/nullptr);
  const at::Tensor both = FirstRows(gate_up_, x.size(0));
  RunGemm(normed, gate_up, /*bias=*/{}, /*accumulate=*/false, both);
  Check(SiluMul({.dtype = options_.dtype,
                 .gate_up = both.const_data_ptr(),
                 .out = out.mutable_data_ptr(),
                 .num_tokens = static_cast<int>(out.size(0)),
                 .intermediate_size = static_cast<int>(out.size(1))},
                stream_),
        "silu");
}

void CudaOps::Logits(const Batch& batch, const at::Tensor& x, const Norm& norm,
                     const at::Tensor& head, at::Tensor out) {
  if (batch.num_logits == 0) return;
  const bool of_all = batch.num_logits == batch.num_tokens;  // of every token, in order
  if (of_all && RunFused(ArgsOf(options_.dtype, Epilogue::kFloat, x, head, out), &norm)) return;
  RunGemm(RunNorm(x.const_data_ptr(), batch.num_logits, norm, batch.logit_tokens), head,
          /*bias=*/{}, /*accumulate=*/false, out);
}

// The plain kernel takes a step as a whole: what one of its parts needs, all of it gets.
bool CudaOps::HasFastAttention(const Batch& batch) const {
  if (options_.dtype == DType::kFloat32 || !device_.has_warp_products()) return false;
  return batch.num_rows == batch.num_single_rows || device_.has_wgmma();
}

void CudaOps::Attention(at::Tensor qkv, const at::Tensor& cos, const at::Tensor& sin,
                        const Batch& batch, HeadShape shape, KvLayer kv, at::Tensor out) {
  const AttentionArgs args = {
      .shape = {shape.num_heads, shape.num_kv_heads, shape.head_dim},
      .dtype = options_.dtype,
      .kv_format = options_.kv_format,
      .qkv = qkv.mutable_data_ptr(),
      .out = out.mutable_data_ptr(),
      .cos = cos.const_data_ptr<float>(),
      .sin = sin.const_data_ptr<float>(),
      .positions = batch.positions,
      .row_starts = batch.row_starts,
      .block_starts = batch.block_starts,
      .blocks = batch.blocks,
      .decode_block_sums = batch.single_block_sums,
      .kv = kv.keys,
      .workspace = attention_workspace_,
      .num_decode_rows = batch.num_single_rows,
      .num_prefill_rows = batch.num_rows - batch.num_single_rows,
      .num_prefill_tokens = batch.num_tokens - batch.num_single_rows,
  };
  if (!HasFastAttention(batch)) {
    return Check(ReferenceAttention(args, batch.num_rows, batch.num_tokens, stream_), "attention");
  }
  if (args.num_decode_rows > 0) {
    Check(DecodeAttention(args, device_, stream_), "decode attention");
  }
  if (args.num_prefill_rows > 0) {
    Check(StorePrefillKv(args, stream_), "storing KV");
    Check(PrefillAttention(args, device_, stream_), "prefill attention");
  }
}

at::Tensor CudaOps::RunNorm(const void* x, int64_t num_tokens, const Norm& norm,
                            const int32_t* rows) {
  const at::Tensor out = FirstRows(normed_, num_tokens);
  Check(RmsNorm({.dtype = options_.dtype,
                 .x = x,
                 .rows = rows,
                 .weight = norm.weight.const_data_ptr(),
                 .out = out.mutable_data_ptr(),
                 .num_tokens = static_cast<int>(out.size(0)),
                 .hidden_size = static_cast<int>(out.size(1)),
                 .epsilon = norm.epsilon},
                stream_),
        "norm");
  return out;
}

void CudaOps::RunGemm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      bool accumulate, at::Tensor out) {
  const Gemm gemm = {
      .dtype = options_.dtype,
      .out_dtype = out.scalar_type() == at::kFloat ? DType::kFloat32 : options_.dtype,
      .n = static_cast<int>(weight.size(0)),
      .k = static_cast<int>(weight.size(1)),
      .has_bias = bias.defined(),
      .accumulate = accumulate,
      .m = static_cast<int>(x.size(0))};
  const cudaError_t error = blas_->Linear(gemm,
                                          {.x = x.const_data_ptr(),
                                           .weight = weight.const_data_ptr(),
                                           .bias = bias.defined() ? bias.const_data_ptr() : nullptr,
                                           .out = out.mutable_data_ptr()},
                                          stream_);
  if (error != cudaSuccess) Check(error, blas_->last_error().c_str());
}

}  // namespace weft::worker::ops::cuda
