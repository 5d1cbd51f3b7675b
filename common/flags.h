// Command-line flags the same way in every binary: --name value, or WEFT_NAME in
// the environment; the command line wins. --help lists them all; an unknown flag
// is refused with the nearest name, a bad value with the values that are right.
//
//   Flags flags("weft-gateway", "Speaks OpenAI's API and gRPC to clients.");
//   flags.Add("--port", options.port, "HTTP port; 0 takes a free one");
//   flags.AddChoice("--log-format", options.log_format, {"text", "json"}, "...");
//   if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft {

class Flags {
 public:
  Flags(std::string binary, std::string description);

  // `target` holds the default, which --help shows. Numbers are range-checked
  // where `low` and `high` are given.
  template <typename T>
  CLI::Option* Add(const std::string& name, T& target, const std::string& help) {
    return WithEnvironment(app_.add_option(name, target, help)->capture_default_str(), name);
  }
  template <typename T>
  CLI::Option* Add(const std::string& name, T& target, const std::string& help, T low, T high) {
    return Add(name, target, help)->check(CLI::Range(low, high));
  }
  CLI::Option* AddChoice(const std::string& name, std::string& target,
                         std::vector<std::string> choices, const std::string& help);
  // --name turns it on; --name=false off.
  CLI::Option* AddSwitch(const std::string& name, bool& target, const std::string& help);
  // Arguments without dashes: one, or several.
  CLI::Option* AddPositional(const std::string& name, std::vector<std::string>& target,
                             const std::string& help);

  // nullopt: go on. Otherwise the exit code: 0 after --help and --version, 2
  // after an error, which has been printed to stderr with the nearest right name.
  std::optional<int> Parse(int argc, const char* const* argv);

  CLI::App& app() { return app_; }

 private:
  CLI::Option* WithEnvironment(CLI::Option* option, const std::string& name);

  CLI::App app_;
};

// The name among `known` that `word` most likely meant; empty if none is near.
std::string NearestName(const std::string& word, const std::vector<std::string>& known);

}  // namespace weft
