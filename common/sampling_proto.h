// SamplingParams to the wire and back.
#pragma once

#include "common/sampling.h"
#include "weft/v1/worker.pb.h"

namespace weft {

void ToProto(const SamplingParams& params, v1::SamplingParams& proto);

// Takes values as they stand; ValidateSampling judges them. InvalidArgument only
// where they do not fit together (bias ids without values) or in an int.
absl::Status FromProto(const v1::SamplingParams& proto, SamplingParams& params);

}  // namespace weft
