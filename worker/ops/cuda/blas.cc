#include "worker/ops/cuda/blas.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace weft::worker::ops::cuda {
namespace {

// Of every pointer, in bytes.
constexpr uint32_t kAlignment = 16;

cudaDataType_t TypeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return CUDA_R_32F;
    case DType::kBFloat16:
      return CUDA_R_16BF;
    case DType::kFloat16:
      return CUDA_R_16F;
  }
  return CUDA_R_32F;
}

cudaError_t ToCuda(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return cudaSuccess;
    case CUBLAS_STATUS_INVALID_VALUE:
      return cudaErrorInvalidValue;
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return cudaErrorNotSupported;
    default:
      return cudaErrorLaunchFailure;
  }
}

template <class T>
cublasStatus_t Set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
                   const T& value) {
  return cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value);
}

template <class T>
void Prefer(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
            const T& value) {
  const auto status =
      cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value);
  WEFT_CHECK(status == CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t FirstError(std::initializer_list<cublasStatus_t> statuses) {
  for (cublasStatus_t status : statuses) {
    if (status != CUBLAS_STATUS_SUCCESS) return status;
  }
  return CUBLAS_STATUS_SUCCESS;
}

int64_t ConfigOf(const cublasLtMatmulAlgo_t& algo, cublasLtMatmulAlgoConfigAttributes_t attribute) {
  uint32_t value = 0;
  size_t written = 0;
  if (cublasLtMatmulAlgoConfigGetAttribute(&algo, attribute, &value, sizeof value, &written) ==
      CUBLAS_STATUS_SUCCESS) {
    return value;
  }
  uint16_t narrow = 0;  // inner and cluster shape
  cublasLtMatmulAlgoConfigGetAttribute(&algo, attribute, &narrow, sizeof narrow, &written);
  return narrow;
}

std::string Name(const Gemm& g) {
  return absl::StrCat(NameOf(g.dtype), " [", g.m, ", ", g.k, "] . [", g.n, ", ", g.k, "]^T",
                      g.has_bias ? " + bias" : "", g.accumulate ? " + out" : "", " -> ",
                      NameOf(g.out_dtype));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Blas>> Blas::Create(const BlasOptions& options) {
  std::unique_ptr<Blas> blas(new Blas);
  if (auto s = blas->Init(options); !s.ok()) return s;
  return blas;
}

absl::Status Blas::Init(const BlasOptions& options) {
  int device = 0;
  cudaDeviceProp properties;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = cudaGetDeviceProperties(&properties, device);
  if (error != cudaSuccess) return absl::UnavailableError(cudaGetErrorString(error));
  if (const auto status = cublasLtCreate(&handle_); status != CUBLAS_STATUS_SUCCESS) {
    return absl::InternalError(
        absl::StrCat("cuBLASLt does not start: ", cublasLtGetStatusString(status)));
  }
  if (cudaMalloc(&workspace_, kBlasWorkspaceBytes) != cudaSuccess) {
    return absl::ResourceExhaustedError("no device memory for cuBLASLt's workspace");
  }
  l2_bytes_ = properties.l2CacheSize;
  identity_ = absl::StrCat(properties.name, ", ", properties.multiProcessorCount,
                           " multiprocessors, cuBLASLt ", cublasLtGetVersion());
  table_path_ = options.table_path;
  if (!table_path_.empty()) table_ = ReadGemmTable(table_path_, identity_);
  return absl::OkStatus();
}

Blas::~Blas() {
  if (workspace_ != nullptr) cudaFree(workspace_);
  if (handle_ != nullptr) cublasLtDestroy(handle_);
}

absl::Status Blas::SaveTable() {
  if (table_path_.empty() || !table_changed_) return absl::OkStatus();
  GemmTable merged = ReadGemmTable(table_path_, identity_);  // another process's, meanwhile
  for (const auto& [gemm, choice] : table_) merged[gemm] = choice;
  if (auto s = WriteGemmTable(table_path_, identity_, merged); !s.ok()) return s;
  table_changed_ = false;
  return absl::OkStatus();
}

cudaError_t Blas::Linear(const Gemm& gemm, const LinearPointers& pointers, cudaStream_t stream) {
  if (gemm.m == 0) return cudaSuccess;
  Layer* layer = nullptr;
  const Plan* plan = nullptr;
  cublasStatus_t status = FindLayer(gemm, layer);
  if (status == CUBLAS_STATUS_SUCCESS) status = SetTokens(gemm, *layer);
  if (status == CUBLAS_STATUS_SUCCESS) status = FindPlan(gemm, *layer, plan);
  if (status == CUBLAS_STATUS_SUCCESS) status = Run(gemm, *layer, *plan, pointers, stream);
  if (status != CUBLAS_STATUS_SUCCESS) {
    last_error_ = absl::StrCat("cuBLASLt, ", Name(gemm), ": ", cublasLtGetStatusString(status));
  }
  return ToCuda(status);
}

cublasStatus_t Blas::Init(const Gemm& gemm, Layer& layer) {
  const cublasOperation_t transposed = CUBLAS_OP_T;
  const auto type = TypeOf(gemm.dtype), out_type = TypeOf(gemm.out_dtype);
  const auto status =
      FirstError({cublasLtMatmulDescInit(&layer.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                  Set(&layer.operation, CUBLASLT_MATMUL_DESC_TRANSA, transposed),
                  cublasLtMatrixLayoutInit(&layer.weight, type, gemm.k, gemm.n, gemm.k),
                  cublasLtMatrixLayoutInit(&layer.x, type, gemm.k, 1, gemm.k),
                  cublasLtMatrixLayoutInit(&layer.out, out_type, gemm.n, 1, gemm.n)});
  if (status != CUBLAS_STATUS_SUCCESS || !gemm.has_bias) return status;
  return FirstError({Set(&layer.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS),
                     Set(&layer.operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, out_type)});
}

cublasStatus_t Blas::FindLayer(const Gemm& gemm, Layer*& layer) {
  const auto found = layers_.find(WithTokens(gemm, 0));
  if (found != layers_.end()) {
    layer = &found->second;
    return CUBLAS_STATUS_SUCCESS;
  }
  Layer& made = layers_[WithTokens(gemm, 0)];
  const auto status = Init(gemm, made);
  if (status != CUBLAS_STATUS_SUCCESS) {
    layers_.erase(WithTokens(gemm, 0));
  } else {
    layer = &made;
  }
  return status;
}

cublasStatus_t Blas::SetTokens(const Gemm& gemm, Layer& layer) {
  const uint64_t columns = gemm.m;
  const auto set = [&](cublasLtMatrixLayout_t layout) {
    return cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &columns,
                                            sizeof columns);
  };
  return FirstError({set(&layer.x), set(&layer.out)});
}

cublasStatus_t Blas::FindPlan(const Gemm& gemm, Layer& layer, const Plan*& plan) {
  auto found = layer.plans.find(gemm.m);
  if (found == layer.plans.end()) {
    Plan made;
    const auto tuned = table_.lower_bound(gemm);
    const bool is_tuned = tuned != table_.end() && WithTokens(tuned->first, gemm.m) == gemm;
    if (!is_tuned || !Check(layer, tuned->second.algo, made)) {
      const std::vector<Plan> guess = Candidates(layer, 1);
      if (guess.empty()) return CUBLAS_STATUS_NOT_SUPPORTED;
      made = guess[0];
    }
    found = layer.plans.emplace(gemm.m, made).first;
  }
  plan = &found->second;
  return CUBLAS_STATUS_SUCCESS;
}

bool Blas::Check(Layer& layer, const cublasLtMatmulAlgo_t& algo, Plan& plan) {
  cublasLtMatmulHeuristicResult_t result = {};
  const auto status = cublasLtMatmulAlgoCheck(handle_, &layer.operation, &layer.weight, &layer.x,
                                              &layer.out, &layer.out, &algo, &result);
  if (status != CUBLAS_STATUS_SUCCESS || result.state != CUBLAS_STATUS_SUCCESS ||
      result.workspaceSize > size_t{kBlasWorkspaceBytes}) {
    return false;
  }
  plan = {.algo = algo, .workspace_bytes = result.workspaceSize};
  return true;
}

std::vector<Blas::Plan> Blas::Candidates(Layer& layer, int max_count) {
  cublasLtMatmulPreferenceOpaque_t preference;
  if (cublasLtMatmulPreferenceInit(&preference) != CUBLAS_STATUS_SUCCESS) return {};
  const uint32_t reductions =
      CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  Prefer(&preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kBlasWorkspaceBytes});
  Prefer(&preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  Prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, kAlignment);
  Prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, kAlignment);
  Prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, kAlignment);
  Prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, kAlignment);
  std::vector<cublasLtMatmulHeuristicResult_t> results(max_count);
  int count = 0;
  const auto status =
      cublasLtMatmulAlgoGetHeuristic(handle_, &layer.operation, &layer.weight, &layer.x, &layer.out,
                                     &layer.out, &preference, max_count, results.data(), &count);
  if (status != CUBLAS_STATUS_SUCCESS) return {};
  std::vector<Plan> plans;
  for (int i = 0; i < count; ++i) {
    if (results[i].state != CUBLAS_STATUS_SUCCESS) continue;
    plans.push_back({.algo = results[i].algo, .workspace_bytes = results[i].workspaceSize});
  }
  return plans;
}

cublasStatus_t Blas::Run(const Gemm& gemm, Layer& layer, const Plan& plan, const LinearPointers& p,
                         cudaStream_t stream) {
  if (gemm.has_bias) {
    const auto status = Set(&layer.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
  }
  const float alpha = 1, beta = gemm.accumulate ? 1 : 0;
  return cublasLtMatmul(handle_, &layer.operation, &alpha, p.weight, &layer.weight, p.x, &layer.x,
                        &beta, p.out, &layer.out, p.out, &layer.out, &plan.algo, workspace_,
                        plan.workspace_bytes, stream);
}

std::string Blas::Describe(const Gemm& gemm, const GemmChoice& choice) {
  const auto config = [&](cublasLtMatmulAlgoConfigAttributes_t attribute) {
    return ConfigOf(choice.algo, attribute);
  };
  return absl::StrCat(
      Name(gemm), ": ", choice.microseconds, " us (default ", choice.default_microseconds,
      ", best of ", choice.num_candidates, "), algorithm ", config(CUBLASLT_ALGO_CONFIG_ID),
      " tile ", config(CUBLASLT_ALGO_CONFIG_TILE_ID), " stages ",
      config(CUBLASLT_ALGO_CONFIG_STAGES_ID), " cluster ",
      config(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID), " split ",
      config(CUBLASLT_ALGO_CONFIG_SPLITK_NUM), " workspace ", choice.workspace_bytes);
}

}  // namespace weft::worker::ops::cuda
