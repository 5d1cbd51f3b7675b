// Model directories for the tests: a tiny one written on the spot, and the
// official ones where they are present.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace weft::text {

inline constexpr char kR1[] = "DeepSeek-R1-Distill-Qwen-1.5B";
inline constexpr char kQwen[] = "Qwen2.5-1.5B-Instruct";

// Where an official model's files are, or would be: under WEFT_TEST_DATA, else in
// ../shared beside the repository.
inline std::string OfficialModel(const std::string& name) {
  const char* data = std::getenv("WEFT_TEST_DATA");
  const std::string root = data != nullptr ? data : WEFT_SOURCE_DIR "/../shared";
  return root + "/models/" + name;
}

#define SKIP_WITHOUT_MODEL(dir)                              \
  if (!std::filesystem::exists((dir) + "/tokenizer.json")) { \
    GTEST_SKIP() << "no tokenizer in " << (dir);             \
  }

// A byte-level BPE tokenizer of 256 bytes, a few merges and R1's kinds of added
// tokens, in a folder of its own that goes with the object.
//
//   ids 0-255 bytes   256.. "Ġt" "Ġth" "Ġthe" "he" "ll" "hell" "hello"
//   then kAdded, in order; <bos> and <eos> are special, the others are not
class TinyModel {
 public:
  static constexpr int kNumBytes = 256;
  static constexpr std::string_view kAdded[] = {"<bos>",         "<eos>",   "<|user|>",
                                                "<|assistant|>", "<think>", "</think>"};

  TinyModel() {
    std::string path = std::filesystem::temp_directory_path() / "weft-text-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) std::abort();
    dir_ = path;
    Write("tokenizer.json", boost::json::serialize(TokenizerJson()));
    Write("tokenizer_config.json",
          R"({"bos_token": {"content": "<bos>"}, "eos_token": "<eos>", "add_bos_token": true})");
  }
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;
  ~TinyModel() { std::filesystem::remove_all(dir_); }

  const std::string& dir() const { return dir_; }

  void Write(const std::string& file, std::string_view content) const {
    std::ofstream(dir_ + "/" + file, std::ios::binary) << content;
  }

  static boost::json::object TokenizerJson() {
    boost::json::object vocab;
    auto add = [&](const std::string& token) { vocab[token] = vocab.size(); };
    for (int byte = 0; byte < kNumBytes; ++byte) add(ByteCharacter(byte));
    boost::json::array merges;
    for (auto [left, right] : {std::pair{"Ġ", "t"},
                               {"Ġt", "h"},
                               {"Ġth", "e"},
                               {"h", "e"},
                               {"l", "l"},
                               {"he", "ll"},
                               {"hell", "o"}}) {
      add(std::string(left) + right);
      merges.emplace_back(std::string(left) + " " + right);
    }
    boost::json::array added;
    int64_t id = static_cast<int64_t>(vocab.size());
    for (std::string_view token : kAdded) {
      added.push_back({{"id", id++},
                       {"content", token},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", token == "<bos>" || token == "<eos>"}});
    }
    const boost::json::object byte_level = {{"type", "ByteLevel"},
                                            {"add_prefix_space", false},
                                            {"trim_offsets", false},
                                            {"use_regex", false}};
    const boost::json::object split = {
        {"type", "Split"},
        {"pattern",
         {{"Regex", R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}},
        {"behavior", "Isolated"},
        {"invert", false}};
    return {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens", added},
            {"normalizer", {{"type", "NFC"}}},
            {"pre_tokenizer",
             {{"type", "Sequence"}, {"pretokenizers", boost::json::array{split, byte_level}}}},
            {"post_processor", nullptr},
            {"decoder", byte_level},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"continuing_subword_prefix", ""},
              {"end_of_word_suffix", ""},
              {"fuse_unk", false},
              {"byte_fallback", false},
              {"vocab", vocab},
              {"merges", merges}}}};
  }

  // GPT-2's printable stand-in for a byte, in UTF-8.
  static std::string ByteCharacter(int byte) {
    auto printable = [](int b) {
      return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    };
    int code = byte;
    if (!printable(byte)) {
      code = 0x100;
      for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
    }
    if (code < 0x80) return std::string(1, static_cast<char>(code));
    return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
  }

 private:
  std::string dir_;
};

}  // namespace weft::text
