// Files of the hub into a folder: several connections at once, each for a piece of a file; what
// fails is tried again, what was there before is kept, and nothing counts before its checksum.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/interrupts.h"
#include "cli/pull/hub.h"
#include "cli/pull/partial_file.h"
#include "cli/pull/progress.h"
#include "cli/pull/reference.h"
#include "cli/pull/settings.h"

namespace weft::pull {

struct Wanted {
  HubFile file;
  std::string url;
  PartialFile partial;  // what is there of it
  std::string path;     // where the whole file goes, by renaming
};

// OK: all are there. Cancelled once a signal has come; what has come of the files stays for the
// next time, as it does after every other error.
absl::Status Download(std::vector<Wanted> files, const HubSettings& settings,
                      const ModelReference& reference, const cli::Interrupts& interrupts,
                      Progress& progress);

}  // namespace weft::pull
