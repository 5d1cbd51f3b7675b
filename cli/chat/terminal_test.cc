#include "cli/chat/terminal.h"

#include "gtest/gtest.h"

namespace weft::chat {
namespace {

TEST(Terminal, IsShownTextAndNoOrders) {
  EXPECT_EQ(Shown("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(Shown("\033[2Jgone\007\r\x7f"), "[2Jgone");
  EXPECT_EQ(Shown("\xC2\x9B"
                  "2J"),
            "2J")
      << "U+009B, one character for ESC and [";
  EXPECT_EQ(Shown("\xC2\xA7 \xC3\xA9 \xE4\xBD\xA0"), "\xC2\xA7 \xC3\xA9 \xE4\xBD\xA0");
}

}  // namespace
}  // namespace weft::chat
