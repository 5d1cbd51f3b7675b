// A model of the hub, in the cache.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/interrupts.h"
#include "cli/pull/reference.h"
#include "cli/pull/settings.h"

namespace weft::pull {

struct FetchOptions {
  ModelReference reference;
  bool tokenizer_only = false;  // no weights
  std::string to;               // a plain folder that gets the files as well; empty: none
};

// The path of the snapshot, once it holds every file that Weft reads of the model. Says on standard
// error how far it is. If the hub cannot be reached (or settings say so), what the cache holds is
// taken. Errors say what to do; Cancelled: a signal has come.
absl::StatusOr<std::string> Fetch(const FetchOptions& options, const HubSettings& settings,
                                  const cli::Interrupts& interrupts);

}  // namespace weft::pull
