#include "text/tokenizer.h"

#include <gmock/gmock.h>

#include <ctime>
#include <map>
#include <random>
#include <thread>

#include "text/test_models.h"

namespace weft::text {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

using Ids = std::vector<TokenId>;

std::shared_ptr<const Tokenizer> MustLoad(const std::string& dir) {
  auto tokenizer = Tokenizer::Load(dir);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *tokenizer : nullptr;
}

Ids MustEncode(const Tokenizer& tokenizer, std::string_view text,
               SpecialTokens mode = SpecialTokens::kAsText) {
  auto ids = tokenizer.Encode(text, mode);
  EXPECT_TRUE(ids.ok()) << ids.status();
  return ids.ok() ? *ids : Ids{};
}

std::string MustDecode(const Tokenizer& tokenizer, const Ids& ids, bool skip_special = false) {
  auto text = tokenizer.Decode(ids, skip_special);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

class TinyTokenizer : public testing::Test {
 protected:
  TinyModel model_;
  std::shared_ptr<const Tokenizer> tokenizer_ = MustLoad(model_.dir());

  TokenId Id(std::string_view token) const { return tokenizer_->TokenToId(token); }
};

TEST_F(TinyTokenizer, MergesByRank) {
  EXPECT_THAT(MustEncode(*tokenizer_, "hello the"), ElementsAre(Id("hello"), Id("Ġthe")));
  EXPECT_THAT(MustEncode(*tokenizer_, "hellx"), ElementsAre(Id("hell"), Id("x")));
  EXPECT_TRUE(MustEncode(*tokenizer_, "").empty());
}

TEST_F(TinyTokenizer, ControlTokensAreOneTokenOnlyWhenParsed) {
  EXPECT_THAT(MustEncode(*tokenizer_, "<eos>hello<think>", SpecialTokens::kParse),
              ElementsAre(Id("<eos>"), Id("hello"), Id("<think>")));
  EXPECT_THAT(MustEncode(*tokenizer_, "<eos>"),
              ElementsAre(Id("<"), Id("e"), Id("o"), Id("s"), Id(">")));
  EXPECT_EQ(MustEncode(*tokenizer_, "<think>").size(), 7u);
}

TEST_F(TinyTokenizer, EncodingAddsNoBos) {
  EXPECT_TRUE(tokenizer_->add_bos());
  EXPECT_THAT(MustEncode(*tokenizer_, "hello", SpecialTokens::kParse), ElementsAre(Id("hello")));
}

TEST_F(TinyTokenizer, NormalizesToComposedCharacters) {
  EXPECT_EQ(MustEncode(*tokenizer_, "e\u0301"), MustEncode(*tokenizer_, "\u00e9"));
}

TEST_F(TinyTokenizer, InvalidUtf8IsRefusedWithItsPlace) {
  for (std::string_view text : {"ab\xff", "ab\xc3", "ab\xed\xa0\x80", "ab\xc0\x80"}) {
    auto ids = tokenizer_->Encode(text, SpecialTokens::kAsText);
    EXPECT_EQ(ids.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(ids.status().message()), HasSubstr("UTF-8 at byte 2"));
  }
}

TEST_F(TinyTokenizer, TextBeyondTheLimitIsRefused) {
  for (SpecialTokens mode : {SpecialTokens::kAsText, SpecialTokens::kParse}) {
    auto ids = tokenizer_->Encode(std::string((8 << 20) + 1, ' '), mode);
    EXPECT_EQ(ids.status().code(), absl::StatusCode::kInvalidArgument) << ids.status();
  }
}

TEST_F(TinyTokenizer, DecodeKeepsOrSkipsSpecialTokens) {
  const Ids ids = {Id("<bos>"), Id("hello"), Id("<think>"), Id("Ġthe"), Id("<eos>")};
  EXPECT_EQ(MustDecode(*tokenizer_, ids), "<bos>hello<think> the<eos>");
  EXPECT_EQ(MustDecode(*tokenizer_, ids, /*skip_special=*/true), "hello<think> the");
  EXPECT_EQ(MustDecode(*tokenizer_, {}), "");
}

TEST_F(TinyTokenizer, DecodeReplacesBytesThatAreNoText) {
  const TokenId a_euro[] = {Id("â"), Id(TinyModel::ByteCharacter(0x82))};  // E2 82: cut short
  EXPECT_EQ(MustDecode(*tokenizer_, {a_euro[0], a_euro[1], Id("x")}), "\uFFFDx");
}

TEST_F(TinyTokenizer, IdsOutOfRangeAreRefused) {
  for (TokenId id : {-1, tokenizer_->vocab_size(), 1 << 30, INT32_MIN}) {
    const Ids ids = {0, id};
    EXPECT_EQ(tokenizer_->Decode(ids, false).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(tokenizer_->TokenBytes(id), "");
    EXPECT_FALSE(tokenizer_->IsSpecial(id));
  }
}

TEST_F(TinyTokenizer, KnowsItsTokens) {
  EXPECT_EQ(tokenizer_->vocab_size(), TinyModel::kNumBytes + 7 + 6);
  EXPECT_EQ(tokenizer_->bos_id(), Id("<bos>"));
  EXPECT_EQ(tokenizer_->eos_id(), Id("<eos>"));
  EXPECT_TRUE(tokenizer_->IsSpecial(Id("<eos>")));
  EXPECT_FALSE(tokenizer_->IsSpecial(Id("<think>")));
  EXPECT_FALSE(tokenizer_->IsSpecial(Id("hello")));
  EXPECT_EQ(tokenizer_->TokenBytes(Id("Ġthe")), " the");
  EXPECT_EQ(tokenizer_->TokenBytes(Id("</think>")), "</think>");
  for (int byte = 0; byte < TinyModel::kNumBytes; ++byte) {
    EXPECT_EQ(tokenizer_->TokenBytes(byte), std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(Id("no such token"), -1);
  EXPECT_EQ(Id("\xff"), -1);
}

TEST_F(TinyTokenizer, TextSurvivesEncodingAndDecoding) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  // Nothing that NFC rewrites.
  const std::string_view pieces[] = {"hello", " the", "é",     "日本", "👩‍👧", "\n",
                                     "\r\n",  "   ",  "<eos>", "<thi", "nk>",         "'ll",
                                     "7",     "\t",   "\0",    "ǅ",    "️"};
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = random() % 20; i > 0; --i) text += pieces[random() % std::size(pieces)];
    EXPECT_EQ(MustDecode(*tokenizer_, MustEncode(*tokenizer_, text)), text);
    EXPECT_EQ(MustDecode(*tokenizer_, MustEncode(*tokenizer_, text, SpecialTokens::kParse)), text);
  }
}

TEST_F(TinyTokenizer, ThreadsAgree) {
  const std::string text = "hello the <eos> 日本 hell";
  const Ids alone = MustEncode(*tokenizer_, text);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(MustEncode(*tokenizer_, text), alone);
        EXPECT_EQ(MustDecode(*tokenizer_, alone), text);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A broken directory, and the words its error must have.
struct Broken {
  std::string file;
  std::string content;
  std::string words;
};

TEST(TokenizerFiles, ErrorsNameTheFileAndWhatIsWrong) {
  auto edited = [](auto edit) {
    boost::json::object json = TinyModel::TokenizerJson();
    edit(json);
    return boost::json::serialize(json);
  };
  const std::vector<Broken> cases = {
      {"tokenizer.json", "", "EOF"},
      {"tokenizer.json", "{\"version\": ", "EOF"},
      {"tokenizer.json", "[1]", ""},
      {"tokenizer.json", edited([](auto& j) { j["decoder"] = nullptr; }), "byte-level"},
      {"tokenizer.json",
       edited([](auto& j) { j["model"].as_object()["vocab"].as_object().erase("q"); }),
       "byte 0x71"},
      {"tokenizer.json",
       edited([](auto& j) { j["model"].as_object()["vocab"].as_object()["big"] = 4000000000u; }),
       "4000000000"},
      {"tokenizer.json",
       edited([](auto& j) { j["model"].as_object()["merges"].as_array().emplace_back("q z"); }),
       "qz"},
      {"tokenizer_config.json", "{", "not JSON"},
      {"tokenizer_config.json", "[]", "object"},
      {"tokenizer_config.json", R"({"eos_token": 7})", "eos_token"},
      {"tokenizer_config.json", R"({"eos_token": "<gone>"})", "<gone>"},
  };
  for (const Broken& broken : cases) {
    SCOPED_TRACE(broken.content.substr(0, 80));
    TinyModel model;
    model.Write(broken.file, broken.content);
    auto loaded = Tokenizer::Load(model.dir());
    ASSERT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument) << loaded.status();
    EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(model.dir() + "/" + broken.file));
    EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(broken.words));
  }
}

TEST(TokenizerFiles, AMissingFileIsNotFound) {
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
    TinyModel model;
    std::filesystem::remove(model.dir() + "/" + file);
    auto loaded = Tokenizer::Load(model.dir());
    EXPECT_EQ(loaded.status().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(file));
  }
}

TEST(TokenizerFiles, AConfigurationMayNameNoTokens) {
  TinyModel model;
  model.Write("tokenizer_config.json", R"({"bos_token": null})");
  auto tokenizer = MustLoad(model.dir());
  EXPECT_EQ(tokenizer->bos_id(), -1);
  EXPECT_EQ(tokenizer->eos_id(), -1);
  EXPECT_FALSE(tokenizer->add_bos());
}

class Official : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string dir = OfficialModel(GetParam());
    SKIP_WITHOUT_MODEL(dir);
    tokenizer_ = MustLoad(dir);
  }

  // Reading seven megabytes of JSON once per model is enough.
  static std::shared_ptr<const Tokenizer> MustLoad(const std::string& dir) {
    static std::map<std::string, std::shared_ptr<const Tokenizer>> loaded;
    auto& tokenizer = loaded[dir];
    if (tokenizer == nullptr) tokenizer = weft::text::MustLoad(dir);
    return tokenizer;
  }

  std::shared_ptr<const Tokenizer> tokenizer_;
};

INSTANTIATE_TEST_SUITE_P(Models, Official, testing::Values(kR1, kQwen),
                         [](const auto& model) { return model.index == 0 ? "R1" : "Qwen25"; });

TEST_P(Official, GivesTheReferenceIds) {
  const std::pair<std::string_view, Ids> vectors[] = {
      {"Hello, world!", {9707, 11, 1879, 0}},
      {" \t\n  x", {17476, 220, 856}},
      {"3.14159 = π", {18, 13, 16, 19, 16, 20, 24, 284, 51745}},
      {"don't WE'LL", {15007, 944, 19677, 6, 4086}},
      {"Ångström e\u0301", {144044, 968, 495, 85584, 3958}},
      {"日本語のテキスト 👩‍👩‍👧",
       {101059, 102819, 15767, 56833, 61803, 70534, 61804, 102, 378, 235, 145233, 378, 235,
        145665}},
      {"\r\n\r\n  if (a<b) {\n\t}\n", {871, 220, 421, 320, 64, 33177, 8, 341, 197, 532}},
      {std::string_view("\0\1", 2), {188, 189}},
      {"          end", {688, 835}},
  };
  for (const auto& [text, ids] : vectors) {
    EXPECT_THAT(MustEncode(*tokenizer_, text), ElementsAreArray(ids)) << text;
    EXPECT_THAT(MustEncode(*tokenizer_, text, SpecialTokens::kParse), ElementsAreArray(ids))
        << text;
  }
}

TEST_P(Official, HasTheKnownVocabulary) {
  EXPECT_EQ(tokenizer_->vocab_size(), 151665);
  EXPECT_EQ(tokenizer_->TokenBytes(151664), "<|file_sep|>");
  EXPECT_FALSE(tokenizer_->IsSpecial(151664));
  EXPECT_TRUE(tokenizer_->IsSpecial(151643));
  EXPECT_EQ(tokenizer_->TokenToId("<|vision_pad|>"), 151654);
  for (TokenId id = 0; id < tokenizer_->vocab_size(); ++id) {
    ASSERT_FALSE(tokenizer_->TokenBytes(id).empty()) << id;
  }
}

// Of this thread alone, so that a busy machine is not blamed on us.
double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

TEST(OfficialQwen, AMegabyteOfOneCharacterTakesLinearTime) {
  const std::string dir = OfficialModel(kQwen);
  SKIP_WITHOUT_MODEL(dir);
  auto tokenizer = MustLoad(dir);
  for (const std::string& text : {std::string(1 << 20, 'a'), std::string(1 << 20, ' ') + "x"}) {
    const double start = CpuSeconds();
    const Ids ids = MustEncode(*tokenizer, text);
    // Half a second; minutes if it were quadratic.
    EXPECT_LT(CpuSeconds() - start, 4.0) << "a run of '" << text[0] << "'";
    EXPECT_EQ(MustDecode(*tokenizer, ids), text);
  }
}

TEST(OfficialR1, ConfiguresBosAndEos) {
  const std::string dir = OfficialModel(kR1);
  SKIP_WITHOUT_MODEL(dir);
  auto tokenizer = MustLoad(dir);
  EXPECT_EQ(tokenizer->bos_id(), 151646);
  EXPECT_EQ(tokenizer->eos_id(), 151643);
  EXPECT_TRUE(tokenizer->add_bos());
  EXPECT_FALSE(tokenizer->IsSpecial(151648)) << "<think> is added, not special";
  EXPECT_EQ(tokenizer->fingerprint(),
            "88145e3c3249adc2546ede277e9819d6e405e19072456e4b521cbc724bd60773");
  EXPECT_THAT(MustEncode(*tokenizer, "What <think> is </think>?", SpecialTokens::kParse),
              ElementsAre(3838, 220, 151648, 374, 220, 151649, 30));
  EXPECT_THAT(MustEncode(*tokenizer, "What <think> is </think>?"),
              ElementsAre(3838, 366, 26865, 29, 374, 690, 26865, 47585));
  EXPECT_THAT(MustEncode(*tokenizer, "<｜end▁of▁sentence｜>"),
              ElementsAre(27, 130957, 408, 10417, 223, 1055, 10417, 223, 51889, 130957, 29));
}

TEST(OfficialQwen, ConfiguresNoBos) {
  const std::string dir = OfficialModel(kQwen);
  SKIP_WITHOUT_MODEL(dir);
  auto tokenizer = MustLoad(dir);
  EXPECT_EQ(tokenizer->bos_id(), -1);
  EXPECT_EQ(tokenizer->eos_id(), 151645);
  EXPECT_FALSE(tokenizer->add_bos());
}

}  // namespace
}  // namespace weft::text
