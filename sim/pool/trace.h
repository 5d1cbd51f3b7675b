// Recorded traffic: a file of JSON lines, one request each.
//
//   {"at": 0.0, "input": 812, "output": 240}
//   {"at": 0.4, "input": 2300, "output": 96, "prefix": "support", "prefix_tokens": 1800,
//    "tenant": "web", "priority": 1}                          (in one line)
//
//   at             seconds, from any origin: the earliest request comes at 0
//   input, output  tokens of the prompt, and of its answer
//   prefix         prompts with equal ones begin alike, for prefix_tokens
//   prefix_tokens  of the prompt; without it the caller's default, as far as the prompt goes
//   tenant         "" if missing; tenants take turns and share no prefix
//   priority       0 if missing; smaller goes first
//
// Other fields are ignored, and so are blank lines; the order of lines is free.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/pool/traffic.h"

namespace weft::sim {

// In the order of arrival. Errors begin with "<source> line <n>: ".
absl::StatusOr<std::vector<Arrival>> ParseTrace(const std::string& source, const std::string& text,
                                                int default_prefix_tokens);

}  // namespace weft::sim
