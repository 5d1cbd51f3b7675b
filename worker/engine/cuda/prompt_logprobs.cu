#include <climits>

#include "worker/engine/cuda/prompt_logprobs.h"

namespace weft::worker {
namespace {

constexpr int kThreads = 512;

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

// A place in the order of preference: of equal logits the lower id is better.
struct Candidate {
  float logit;
  int id;
};
struct Better {
  __device__ Candidate operator()(Candidate a, Candidate b) const {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id) ? a : b;
  }
};

// Of the values of all threads, for all threads.
template <class T, class Combine>
__device__ T Reduce(T value, Combine combine) {
  __shared__ T values[kThreads];
  values[threadIdx.x] = value;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      values[threadIdx.x] = combine(values[threadIdx.x], values[threadIdx.x + half]);
    }
  }
  __syncthreads();
  const T result = values[0];
  __syncthreads();  // before they are written again
  return result;
}

// A block a row.
__global__ void PromptLogprobsKernel(PromptLogprobsArgs args) {
  const float* logits = args.logits + blockIdx.x * args.vocab_stride;
  const int vocab_size = args.vocab_size;
  PromptAnswer& answer = args.answers[blockIdx.x];

  Candidate best = {-INFINITY, INT_MAX};
  int num_bad = 0;
  for (int id = threadIdx.x; id < vocab_size; id += kThreads) {
    num_bad += !isfinite(logits[id]);
    best = Better()(best, Candidate{logits[id], id});
  }
  if (Reduce(num_bad, Add()) > 0) {
    if (threadIdx.x == 0) answer.rank = 0;
    return;
  }
  best = Reduce(best, Better());

  const int target = args.targets[blockIdx.x];
  const float own = logits[target];
  double sum = 0;
  int num_better = 0;
  for (int id = threadIdx.x; id < vocab_size; id += kThreads) {
    const float x = logits[id];
    sum += expf(x - best.logit);
    num_better += x > own || (x == own && id < target);
  }
  const double normalizer = best.logit + log(Reduce(sum, Add()));
  num_better = Reduce(num_better, Add());
  if (threadIdx.x == 0) {
    answer.logprob = static_cast<float>(own - normalizer);
    answer.rank = num_better + 1;
  }

  // Each next one is the best of those behind the last.
  for (int k = 0; k < args.num_tops[blockIdx.x]; ++k) {
    if (threadIdx.x == 0) {
      answer.top_ids[k] = best.id;
      answer.top_logprobs[k] = static_cast<float>(best.logit - normalizer);
    }
    Candidate next = {-INFINITY, INT_MAX};
    for (int id = threadIdx.x; id < vocab_size; id += kThreads) {
      const float x = logits[id];
      const bool is_behind = x < best.logit || (x == best.logit && id > best.id);
      if (is_behind) next = Better()(next, Candidate{x, id});
    }
    best = Reduce(next, Better());
  }
}

}  // namespace

cudaError_t FindPromptLogprobs(const PromptLogprobsArgs& args, cudaStream_t stream) {
  PromptLogprobsKernel<<<args.num_rows, kThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace weft::worker
