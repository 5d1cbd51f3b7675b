// Everything that a report says, in both its languages: one table, so that nothing can
// be said in one of them only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft::compare {

enum class Language { kEnglish, kChinese };

// "en", "zh": as HTML names them.
const char* CodeOf(Language language);

struct Text {
  std::string_view key;
  std::string_view en, zh;  // $0, $1, ... stand for what absl::Substitute puts there
};

const std::vector<Text>& Texts();

// Precondition: the table has the key.
std::string Say(Language language, std::string_view key);

// What the table calls it, else the name itself: names of figures, tasks and facts may
// be anyone's.
std::string NameOf(Language language, std::string_view name);

}  // namespace weft::compare
