#include "cli/key.h"

#include <iostream>
#include <string>
#include <vector>

#include "common/flags.h"
#include "gateway/auth/api_key.h"
#include "gateway/auth/key_file.h"
#include "gateway/inference/validate.h"

namespace weft::cli {
namespace {

int Fail(const std::string& message) {
  std::cerr << "weft key: " << message << "\nSee --help.\n";
  return 2;
}

}  // namespace

int Key(int argc, const char* const* argv) {
  std::vector<std::string> names;
  std::string tenant;
  bool from_stdin = false;
  Flags flags("weft key",
              "Makes an API key: prints its entry for --api-key-file, a hash, to standard output, "
              "and the key itself, this once, to standard error.");
  flags.AddPositional("NAME", names, "Whose key it is, as the log shall say")->required();
  flags.Add("--tenant", tenant, "The tenant of its requests (default: the name)");
  flags.AddSwitch("--stdin", from_stdin, "Take the key from standard input, rather than a new one");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;

  if (names.size() != 1) return Fail("NAME is one name");
  for (const std::string& label : {names[0], tenant}) {
    if (absl::Status status = gateway::ValidateTenant(label); !status.ok()) {
      return Fail(label + ": names and tenants are at most 128 visible ASCII characters");
    }
  }
  std::string key;
  if (!from_stdin) {
    key = auth::NewApiKey();
    std::cerr << key << std::endl;
  } else {
    std::getline(std::cin, key);
    if (absl::Status status = auth::ValidateApiKey(key); !status.ok()) {
      return Fail(std::string(status.message()));
    }
  }
  std::cout << auth::FormatKeyEntry(names[0], tenant, auth::KeyHash::Of(key)) << std::endl;
  return 0;
}

}  // namespace weft::cli
