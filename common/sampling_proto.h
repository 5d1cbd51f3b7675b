// SamplingParams to the wire and back.
#pragma once

#include <cstdint>
#include <limits>

#include "common/sampling.h"
#include "weft/v1/worker.pb.h"

namespace weft {

// Counts travel as uint32 and are ints everywhere else.
inline bool FitsInt(uint32_t value) { return value <= uint32_t{std::numeric_limits<int>::max()}; }

void ToProto(const SamplingParams& params, v1::SamplingParams& proto);

// Takes values as they stand; ValidateSampling judges them. InvalidArgument only
// where they do not fit together (bias ids without values) or in an int.
absl::Status FromProto(const v1::SamplingParams& proto, SamplingParams& params);

// Its lists are as long as each other, and no more alternatives than may be asked for.
bool IsWhole(const v1::PromptLogprobs& logprobs);

}  // namespace weft
