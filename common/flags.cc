#include "common/flags.h"

#include <algorithm>
#include <cctype>
#include <iostream>

#include "common/version.h"

namespace weft {
namespace {

// "--max-model-len" -> "WEFT_MAX_MODEL_LEN"
std::string EnvironmentName(const std::string& flag) {
  std::string name = "WEFT_";
  for (char c : flag.substr(flag.find_first_not_of('-'))) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

// Levenshtein's, in one row.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string NearestName(const std::string& word, const std::vector<std::string>& known) {
  std::string nearest;
  size_t best = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& name : known) {
    size_t distance = EditDistance(word, name);
    if (distance < best) {
      best = distance;
      nearest = name;
    }
  }
  return nearest;
}

Flags::Flags(std::string binary, std::string description)
    : app_(std::move(description), std::move(binary)) {
  app_.set_version_flag("--version", std::string(kVersion));
  app_.allow_extras();
  app_.get_formatter()->column_width(36);
}

CLI::Option* Flags::AddChoice(const std::string& name, std::string& target,
                              std::vector<std::string> choices, const std::string& help) {
  return Add(name, target, help)->check(CLI::IsMember(std::move(choices)));
}

CLI::Option* Flags::AddSwitch(const std::string& name, bool& target, const std::string& help) {
  return WithEnvironment(app_.add_flag(name, target, help), name);
}

CLI::Option* Flags::AddPositional(const std::string& name, std::vector<std::string>& target,
                                  const std::string& help) {
  return app_.add_option(name, target, help);
}

CLI::Option* Flags::WithEnvironment(CLI::Option* option, const std::string& name) {
  return option->envname(EnvironmentName(name));
}

std::optional<int> Flags::Parse(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app_.help();
    return 0;
  } catch (const CLI::CallForVersion&) {
    std::cout << app_.get_name() << ' ' << kVersion << '\n';
    return 0;
  } catch (const CLI::Error& error) {
    std::cerr << app_.get_name() << ": " << error.what() << "\nSee --help.\n";
    return 2;
  }
  const std::vector<std::string> extras = app_.remaining();
  if (extras.empty()) return std::nullopt;

  std::vector<std::string> known;
  for (const CLI::Option* option : app_.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  const std::string word = extras.front().substr(0, extras.front().find('='));
  const std::string nearest = NearestName(word, known);
  std::cerr << app_.get_name() << ": " << (word.starts_with("-") ? "unknown flag " : "unexpected ")
            << word;
  if (!nearest.empty()) std::cerr << "; did you mean " << nearest << "?";
  std::cerr << "\nSee --help.\n";
  return 2;
}

}  // namespace weft
