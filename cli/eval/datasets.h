// The problems by name: those that ship with the source, those of public data sets, a file's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/eval/problem.h"
#include "cli/interrupts.h"

namespace weft::eval {

// A public data set: fetched once, and held to its checksum each time.
struct PublicDataset {
  std::string name;     // "gsm8k"
  std::string about;    // "GSM8K, test set: 1,319 word problems"
  std::string licence;  // "MIT (OpenAI)"
  std::string repo;     // whose it is
  std::string url;      // an address that only ever is this file, or the checksum says otherwise
  int64_t size = 0;
  std::string sha256;
};
const std::vector<PublicDataset>& PublicDatasets();

struct Dataset {
  std::string name;
  std::string licence;  // empty: whoever gave the file knows
  std::vector<Problem> problems;
};

// `name`: "weft", a public data set, or the path of a file of JSON lines. Says on standard error
// what it downloads. Errors say what would be right; Cancelled: a signal has come. `ca_file`: PEM
// file of authorities to trust, empty: the system's.
absl::StatusOr<Dataset> LoadDataset(const std::string& name, const std::string& ca_file,
                                    const cli::Interrupts& interrupts);

// Where public data sets are kept: $XDG_CACHE_HOME/weft/datasets.
std::string DatasetFolder();

}  // namespace weft::eval
