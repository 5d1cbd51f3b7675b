// weft: the one command in front of the three processes.

#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "cli/bench/bench.h"
#include "cli/chat/chat.h"
#include "cli/compare/compare.h"
#include "cli/eval/eval.h"
#include "cli/key.h"
#include "cli/pull/pull.h"
#include "cli/serve.h"
#include "cli/simulate/simulate.h"
#include "common/flags.h"
#include "common/version.h"

namespace {

struct Subcommand {
  const char* name;
  const char* help;
  int (*run)(int argc, const char* const* argv);
};

constexpr Subcommand kSubcommands[] = {
    {"serve", "Serve a model behind the OpenAI API and gRPC", weft::cli::Serve},
    {"chat", "Ask a server, or talk to it", weft::chat::Chat},
    {"pull", "Download a model of the Hugging Face hub", weft::pull::Pull},
    {"key", "Make an API key and its entry for --api-key-file", weft::cli::Key},
    {"bench", "Load an OpenAI-compatible server and measure it", weft::bench::Bench},
    {"eval", "Measure how often a model's answers are right", weft::eval::Eval},
    {"compare", "Render a comparison of two servers as a report", weft::compare::Compare},
    {"simulate", "Size a pool: the scheduler on simulated time, without a GPU",
     weft::simulate::Simulate},
};

void PrintHelp(std::ostream& out) {
  out << "Serving for Qwen2-architecture reasoning models.\n"
         "Usage: weft SUBCOMMAND [OPTIONS]\n\nSubcommands:\n";
  for (const Subcommand& subcommand : kSubcommands) {
    out << "  " << std::left << std::setw(12) << subcommand.name << subcommand.help << '\n';
  }
  out << "\n`weft SUBCOMMAND --help` lists its options.\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "";
  if (word == "--help" || word == "-h") {
    PrintHelp(std::cout);
    return 0;
  }
  if (word == "--version") {
    std::cout << "weft " << weft::kVersion << '\n';
    return 0;
  }
  std::vector<std::string> names;
  for (const Subcommand& subcommand : kSubcommands) {
    if (word == subcommand.name) return subcommand.run(argc - 1, argv + 1);
    names.push_back(subcommand.name);
  }
  if (word.empty()) {
    PrintHelp(std::cerr);
    return 2;
  }
  const std::string nearest = weft::NearestName(word, names);
  std::cerr << "weft: unknown subcommand " << word;
  if (!nearest.empty()) std::cerr << "; did you mean " << nearest << "?";
  std::cerr << "\nSee --help.\n";
  return 2;
}
