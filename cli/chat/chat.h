#pragma once

namespace weft::chat {

// `weft chat [QUESTION...]`: one answer, or a conversation. Returns the exit code: 0, 1 for a
// failure, 2 for a bad command, 128 + the signal that ended it.
int Chat(int argc, const char* const* argv);

}  // namespace weft::chat
