#include "cli/bench/accounting.h"

namespace weft::bench {

TokenAccount Account(const std::vector<RequestRecord>& requests) {
  TokenAccount account;
  for (const RequestRecord& request : requests) {
    account.num_text_events += request.num_text_events;
    account.num_shorter += request.num_output_tokens < request.num_asked_tokens;
    account.num_longer += request.num_output_tokens > request.num_asked_tokens;
    if (!request.has_usage) {
      ++account.num_without_usage;
      continue;
    }
    account.num_equal += request.num_text_events == request.num_output_tokens;
    account.num_fewer_events += request.num_text_events < request.num_output_tokens;
    account.num_more_events += request.num_text_events > request.num_output_tokens;
    account.num_other_prompts +=
        request.num_prompt_ids > 0 && request.num_prompt_ids != request.num_prompt_tokens;
  }
  return account;
}

}  // namespace weft::bench
