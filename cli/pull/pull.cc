#include "cli/pull/pull.h"

#include <iostream>
#include <string>
#include <vector>

#include "cli/interrupts.h"
#include "cli/pull/fetch.h"
#include "common/flags.h"

namespace weft::pull {
namespace {

int Fail(const absl::Status& status, int exit_code) {
  std::cerr << "weft pull: " << status.message() << '\n';
  return exit_code;
}

}  // namespace

int Pull(int argc, const char* const* argv) {
  std::vector<std::string> models;
  FetchOptions options;
  HubSettings settings = SettingsFromEnvironment();
  Flags flags("weft pull",
              "Downloads what Weft reads of a model of the Hugging Face hub into the cache that "
              "other tools share, and prints the snapshot's folder. HF_TOKEN, HF_ENDPOINT, "
              "HF_HUB_CACHE, HF_HOME and HF_HUB_OFFLINE mean what they mean to those.");
  flags.AddPositional("MODEL", models, "hf://owner/name[@revision]; hf:// may be left out")
      ->required();
  flags.AddSwitch("--tokenizer-only", options.tokenizer_only,
                  "Without weights: what a gateway needs");
  flags.Add("--to", options.to,
            "Folder that gets the files as well, as plain files (weights: hard links to the "
            "cache's, where it is on the same file system)");
  flags.Add("--ca-file", settings.ca_file,
            "PEM file of authorities to trust (default: SSL_CERT_FILE's, else the system's)");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  const auto reference = models.size() == 1 ? ParseReference(models[0])
                                            : absl::InvalidArgumentError("MODEL is one model");
  if (!reference.ok()) {
    std::cerr << "weft pull: " << reference.status().message() << "\nSee --help.\n";
    return 2;
  }
  options.reference = *reference;

  const cli::Interrupts interrupts;
  const absl::StatusOr<std::string> snapshot = Fetch(options, settings, interrupts);
  if (absl::IsCancelled(snapshot.status())) {
    return Fail(absl::CancelledError("stopped; the next time goes on from here"),
                128 + interrupts.signal());
  }
  if (!snapshot.ok()) return Fail(snapshot.status(), 1);
  std::cout << *snapshot << std::endl;
  return 0;
}

}  // namespace weft::pull
