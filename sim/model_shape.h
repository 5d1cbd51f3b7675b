// The shape of a real model, from its config.json.
#pragma once

#include "sim/step_time.h"
#include "worker/model/model_config.h"

namespace weft::sim {

// With weights and KV in 16 bits.
ModelShape ShapeOf(const worker::ModelConfig& config);

}  // namespace weft::sim
