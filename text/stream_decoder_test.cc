#include "text/stream_decoder.h"

#include <gmock/gmock.h>

#include <random>

#include "text/test_models.h"

namespace weft::text {
namespace {

using Ids = std::vector<TokenId>;

// True if `text` ends with a character's last byte and holds no stray ones.
bool IsWholeUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || i + size > text.size()) return false;
    for (size_t k = 1; k < size; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    }
    i += size;
  }
  return true;
}

class Stream : public testing::Test {
 protected:
  TinyModel model_;
  std::shared_ptr<const Tokenizer> tokenizer_ = *Tokenizer::Load(model_.dir());

  // What each push appends, then what Finish appends.
  std::vector<std::string> Pieces(const Ids& ids, bool skip_special = false) {
    StreamDecoder decoder(tokenizer_, skip_special);
    std::vector<std::string> pieces;
    for (TokenId id : ids) decoder.Push(id, pieces.emplace_back());
    decoder.Finish(pieces.emplace_back());
    return pieces;
  }
};

TEST_F(Stream, ACharacterComesOutWithItsLastByte) {
  // 👋 is F0 9F 91 8B; every byte is a token of its own.
  EXPECT_THAT(Pieces({0xF0, 0x9F, 0x91, 0x8B, 'x'}),
              testing::ElementsAre("", "", "", "👋", "x", ""));
}

TEST_F(Stream, BytesThatCannotBecomeTextAreReplacedAsSoonAsThatIsSure) {
  EXPECT_THAT(Pieces({0xE2, 0x82, 'x'}), testing::ElementsAre("", "", "\uFFFDx", ""));
  EXPECT_THAT(Pieces({0xE2, 0xE2, 0x82, 0xAC}), testing::ElementsAre("", "\uFFFD", "", "€", ""));
  EXPECT_THAT(Pieces({0x80, 0xFF, 0xC0}), testing::ElementsAre("\uFFFD", "\uFFFD", "\uFFFD", ""));
  // A surrogate: ED A0 80 is three wrong bytes.
  EXPECT_THAT(Pieces({0xED, 0xA0, 0x80}), testing::ElementsAre("", "\uFFFD\uFFFD", "\uFFFD", ""));
}

TEST_F(Stream, AnUnfinishedCharacterIsReplacedAtTheEnd) {
  EXPECT_THAT(Pieces({'a', 0xF0, 0x9F}), testing::ElementsAre("a", "", "", "\uFFFD"));
}

TEST_F(Stream, SpecialTokensCanBeLeftOut) {
  const TokenId eos = tokenizer_->eos_id();
  const TokenId think = tokenizer_->TokenToId("<think>");
  EXPECT_THAT(Pieces({think, 'a', eos}), testing::ElementsAre("<think>", "a", "<eos>", ""));
  EXPECT_THAT(Pieces({think, 'a', eos}, true), testing::ElementsAre("<think>", "a", "", ""));
}

TEST_F(Stream, IdsBeyondTheVocabularyAreSilent) {
  EXPECT_THAT(Pieces({-1, 'a', 1 << 20}), testing::ElementsAre("", "a", "", ""));
}

void ExpectStreamEqualsDecode(std::shared_ptr<const Tokenizer> tokenizer, int rounds) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < rounds; ++round) {
    Ids ids(random() % 40);
    for (TokenId& id : ids) {
      // Single bytes (the first 256 ids in Qwen's order, too) meet often enough
      // to make and to break characters.
      const int32_t range = random() % 2 == 0 ? 256 : tokenizer->vocab_size();
      id = static_cast<TokenId>(random() % range);
    }
    const bool skip_special = random() % 2 == 0;
    StreamDecoder decoder(tokenizer, skip_special);
    std::string streamed;
    for (TokenId id : ids) {
      decoder.Push(id, streamed);
      ASSERT_TRUE(IsWholeUtf8(streamed)) << "half a character after id " << id;
    }
    decoder.Finish(streamed);
    auto whole = tokenizer->Decode(ids, skip_special);
    ASSERT_TRUE(whole.ok()) << whole.status();
    ASSERT_EQ(streamed, *whole);
  }
}

TEST_F(Stream, PiecesAddUpToTheWholeDecoding) { ExpectStreamEqualsDecode(tokenizer_, 5000); }

TEST(OfficialStream, PiecesAddUpToTheWholeDecoding) {
  const std::string dir = OfficialModel(kR1);
  SKIP_WITHOUT_MODEL(dir);
  ExpectStreamEqualsDecode(*Tokenizer::Load(dir), 5000);
}

}  // namespace
}  // namespace weft::text
