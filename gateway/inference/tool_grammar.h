// The grammar of an answer that must be calls of tools (tool_choice "required", or one by
// name), in the hermes form, which every model here can write:
//
//   <tool_call>
//   {"name": "f", "arguments": {... as f's schema says ...}}
//   </tool_call>
#pragma once

#include "common/grammar.h"
#include "gateway/inference/request.h"

namespace weft::gateway {

// For ToolChoice::kRequired and kNamed, where the tools hold what is named: one call, or
// with kRequired and parallel calls several.
Grammar ToolGrammar(const ToolOptions& options);

}  // namespace weft::gateway
