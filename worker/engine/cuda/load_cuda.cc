#include "worker/engine/cuda/load_cuda.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/engine/cuda/cuda_backend.h"
#include "worker/engine/cuda/upload.h"
#include "worker/engine/memory.h"
#include "worker/engine/open_model.h"
#include "worker/engine/stopwatch.h"
#include "worker/model/qwen2.h"
#include "worker/ops/cuda/cuda_status.h"
#include "worker/ops/cuda/device_features.h"
#include "worker/ops/cuda/kv_layout.h"
#include "worker/ops/cuda/ops_cuda.h"
#include "worker/ops/cuda/rms_norm.h"
#include "worker/ops/cuda/sampling.h"

namespace weft::worker {
namespace {

using ops::BlocksFor;
using ops::cuda::CudaOps;

// What the driver, loaded kernels and graphs may yet take.
constexpr int64_t kReservedBytes = int64_t{768} << 20;

struct GpuMemory {
  int64_t total_bytes = 0;
  int64_t free_bytes = 0;
};

absl::StatusOr<GpuMemory> QueryMemory() {
  size_t free_bytes = 0, total_bytes = 0;
  if (auto e = cudaMemGetInfo(&free_bytes, &total_bytes); e != cudaSuccess) {
    return absl::UnavailableError(cudaGetErrorString(e));
  }
  return GpuMemory{.total_bytes = static_cast<int64_t>(total_bytes),
                   .free_bytes = static_cast<int64_t>(free_bytes)};
}

absl::Status FillWeights(const Qwen2& model, const OpenedModel& opened,
                         const ModelBackendOptions& options) {
  std::vector<UploadItem> items;
  for (const TensorSpec& spec : Qwen2Tensors(opened.config)) {
    items.push_back({.tensor = spec,
                     .dtype = opened.dtype,
                     .target = model.places().at(spec.name).mutable_data_ptr()});
  }
  if (options.load_format == "dummy") return UploadDummyWeights(items);
  return UploadWeights(*opened.source, items, {.on_progress = options.on_progress});
}

// What the kernels take; they refuse anything else when they are launched.
absl::Status CheckShape(const ModelConfig& config, DType dtype) {
  if (config.head_dim != 64 && config.head_dim != 128) {
    return absl::InvalidArgumentError(absl::StrCat(
        "heads of ", config.head_dim, " dimensions: the GPU's kernels know 64 and 128"));
  }
  for (const auto& [name, size] :
       {std::pair<const char*, int64_t>("hidden_size", config.hidden_size),
        {"intermediate_size", config.intermediate_size}}) {
    if (size * BytesOf(dtype) % 16 == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat("config.json: ", name, " ", size,
                                                   " is no multiple of ", 16 / BytesOf(dtype),
                                                   ", which the GPU's kernels need"));
  }
  if (config.hidden_size * BytesOf(dtype) > ops::cuda::kMaxNormBytes) {
    return absl::InvalidArgumentError(absl::StrCat("config.json: hidden_size ", config.hidden_size,
                                                   "; the GPU's kernels take ",
                                                   ops::cuda::kMaxNormBytes / BytesOf(dtype)));
  }
  if (config.vocab_size > ops::cuda::kMaxVocab) {
    return absl::InvalidArgumentError(absl::StrCat("config.json: vocab_size ", config.vocab_size,
                                                   "; the GPU's sampler takes ",
                                                   ops::cuda::kMaxVocab));
  }
  return absl::OkStatus();
}

// The pool is one allocation: layer by layer, block by block.
std::vector<ops::KvLayer> MakeKv(CudaOps& ops, const ModelConfig& config, int64_t layer_bytes) {
  auto* pool = static_cast<char*>(ops.memory().Take(layer_bytes * config.num_layers));
  std::vector<ops::KvLayer> kv;
  for (int i = 0; i < config.num_layers; ++i) kv.push_back({.keys = pool + i * layer_bytes});
  return kv;
}

// Memory by slot and by row that is taken behind the KV pool's planning.
int64_t StateBytes(const ModelBackendOptions& options, int64_t context) {
  const int64_t rows = options.max_num_seqs;
  return rows * (context * 4 + BlocksFor(static_cast<int>(context)) * 4 +
                 ops::cuda::kMaxBiasEntries * 8 + 4096) +
         int64_t{options.max_num_batched_tokens} * 20 + context * 8 + (int64_t{64} << 20);
}

}  // namespace

absl::Status GpuIsUsable() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();
    // CUDA says so, too, where there is no driver at all.
    if (error == cudaErrorInsufficientDriver) {
      return absl::UnavailableError("no usable GPU: no NVIDIA driver, or one before CUDA 13");
    }
    return absl::UnavailableError(absl::StrCat("no usable GPU: ", cudaGetErrorString(error)));
  }
  if (count == 0) return absl::UnavailableError("no GPU");
  int major = 0, minor = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) == cudaSuccess &&
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0) == cudaSuccess &&
      major * 10 + minor < ops::cuda::kLeastCapability) {
    return absl::UnavailableError(absl::StrCat("no usable GPU: it has compute capability ", major,
                                               ".", minor,
                                               ", and the CUDA backend needs 7.5 or newer"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(const ModelBackendOptions& options,
                                                         LoadFacts& facts) {
  Stopwatch watch;
  if (auto e = cudaSetDevice(0); e != cudaSuccess) {
    return absl::UnavailableError(absl::StrCat("no GPU: ", cudaGetErrorString(e)));
  }
  const auto memory = QueryMemory();  // makes CUDA's context, the longest part of it
  if (!memory.ok()) return memory.status();
  const ops::cuda::DeviceFeatures& device = ops::cuda::CurrentDevice();
  if (std::string why = WhyUnusable(device); !why.empty()) {
    return absl::FailedPreconditionError(why);
  }
  facts.device = absl::StrCat("cuda:0 ", device.name);
  char pci_bus_id[32] = "";
  if (cudaDeviceGetPCIBusId(pci_bus_id, sizeof pci_bus_id, 0) == cudaSuccess) {
    facts.pci_bus_id = pci_bus_id;
  }
  facts.memory_total_bytes = memory->total_bytes;
  facts.memory_available_bytes = memory->free_bytes;
  facts.device_seconds = watch.LapSeconds();

  if (!device.has_wgmma()) {
    const int code = device.code_capability;
    facts.warnings.push_back(
        absl::StrCat("the kernels for compute capability ", code / 10, ".", code % 10,
                     " were never tested; prompts in particular take longer than with those for "
                     "9.0"));
  }
  auto opened =
      OpenModel(options, {.has_bfloat16 = device.has_bfloat16(), .has_float16 = true}, facts);
  if (!opened.ok()) return opened.status();
  const ModelConfig& config = opened->config;
  const bool is_fp8 = options.kv_cache_dtype == "fp8";
  if (is_fp8 && opened->dtype == DType::kFloat32) {
    return absl::InvalidArgumentError(
        "--kv-cache-dtype fp8 is for 16-bit models, not --dtype float32");
  }
  if (auto s = CheckShape(config, opened->dtype); !s.ok()) return s;
  facts.files_seconds = watch.LapSeconds();

  if (opened->weight_bytes() > memory->free_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the weights take ", opened->weight_bytes() >> 20, " MiB in ", facts.dtype,
                     "; ", memory->free_bytes >> 20, " MiB of ", device.name, " are free"));
  }
  const ops::HeadShape heads = {config.num_heads, config.num_kv_heads, config.head_dim};
  auto ops = CudaOps::Create(
      {.shape = {.max_tokens = options.max_num_batched_tokens,
                 .max_logits = options.max_num_seqs,
                 .hidden_size = config.hidden_size,
                 .intermediate_size = config.intermediate_size,
                 .dtype = TorchType(opened->dtype)},
       .heads = heads,
       .dtype = opened->dtype,
       .kv_format = is_fp8 ? ops::cuda::KvFormat::kFp8 : ops::cuda::KvFormat::kSameAsModel,
       .rope_theta = config.rope_theta,
       .max_single_rows = options.max_num_seqs,
       .gemm_table_path = options.gemm_table_path});
  if (!ops.ok()) return ops.status();
  facts.device_details = absl::StrCat((*ops)->num_sms(), " multiprocessors");
  auto model = std::make_unique<Qwen2>(
      config, opened->dtype, StepLimits{options.max_num_batched_tokens, options.max_num_seqs},
      **ops);
  facts.device_seconds += watch.LapSeconds();
  if (auto s = FillWeights(*model, *opened, options); !s.ok()) return s;
  facts.weight_bytes = model->weight_bytes();
  facts.scratch_bytes = (*ops)->scratch_bytes();
  facts.weights_seconds = watch.LapSeconds();

  if (auto s = (*ops)->Tune(config.qkv_size(), config.vocab_size); !s.ok()) {
    facts.warnings.push_back(
        absl::StrCat("measuring or keeping cuBLASLt's algorithms: ", std::string(s.message())));
  }
  facts.tuning_seconds = watch.LapSeconds();

  const auto now = QueryMemory();
  if (!now.ok()) return now.status();
  const int context =
      options.max_model_len > 0 ? options.max_model_len : config.max_position_embeddings;
  const int64_t others = StateBytes(options, context) + kReservedBytes;
  const auto allowed =
      static_cast<int64_t>(options.memory_utilization * static_cast<double>(now->total_bytes));
  const int64_t taken = now->total_bytes - now->free_bytes;
  const int64_t tile_bytes = ops::cuda::KvTileBytes(
      config.head_dim, is_fp8 ? 1 : static_cast<int>(BytesOf(opened->dtype)));
  const int64_t block_bytes = tile_bytes * config.num_kv_heads;  // of one layer
  const auto plan = PlanKv({.bytes_per_block = block_bytes * config.num_layers,
                            .bytes = options.kv_bytes,
                            .spare_bytes = std::min(allowed - taken, now->free_bytes) - others,
                            .max_model_len = options.max_model_len,
                            .model_context = config.max_position_embeddings,
                            .max_num_seqs = options.max_num_seqs});
  if (!plan.ok()) return plan.status();
  std::vector<ops::KvLayer> kv = MakeKv(**ops, config, block_bytes * plan->num_blocks);
  const BackendLimits limits =
      LimitsOf(*plan, block_bytes * config.num_layers, kGpuStepsInFlight, options, *opened, facts);
  if (auto e = ops::cuda::PrepareSampling(device); e != cudaSuccess) {
    return ops::cuda::CudaStatus(e, "preparing the sampler");
  }
  auto backend =
      std::make_unique<CudaBackend>(*std::move(ops), std::move(model), std::move(kv), limits,
                                    opened->fingerprint, facts.device, options.model_dir);
  facts.kv_seconds = watch.LapSeconds();

  if (auto s = RunCanary(*backend); !s.ok()) return s;
  facts.canary_seconds = watch.LapSeconds();
  if (options.capture_graphs) {
    if (auto s = backend->CaptureGraphs(); !s.ok()) return s;
    if (auto s = RunCanary(*backend); !s.ok()) return s;  // now its second step is a graph
  }
  facts.graphs_seconds = watch.LapSeconds();
  return backend;
}

}  // namespace weft::worker
