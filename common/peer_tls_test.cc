#include "common/peer_tls.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

std::string Refusal(const PeerTls& tls, const std::string& addresses = "127.0.0.1:7000") {
  const absl::Status status = CheckPeerTls(tls, "--scheduler", addresses);
  return std::string(status.message());
}

TEST(PeerTls, WithoutCertificatesTiersStayOnOneMachine) {
  for (const char* address :
       {"127.0.0.1:7000", "localhost:7000", "[::1]:7000", "127.0.0.2:1, localhost:2"}) {
    EXPECT_EQ(Refusal({}, address), "") << address;
  }
  for (const char* address :
       {"10.0.0.1:7000", "0.0.0.0:7000", "dns:///scheduler:7000", "127.0.0.1:1,b:2", "[::]:7000"}) {
    EXPECT_THAT(Refusal({}, address), HasSubstr("--plaintext-peers")) << address;
    EXPECT_EQ(Refusal({.allows_plaintext = true}, address), "") << address;
  }
  EXPECT_THAT(Refusal({}, "127.0.0.1:1,b:2"), HasSubstr("--scheduler b:2 reaches beyond"));
}

TEST(PeerTls, FilesThatCannotBeUsedAreNamed) {
  EXPECT_THAT(Refusal({.files = {.cert = "c", .key = "k"}}),
              HasSubstr("--peer-tls-cert is given without --peer-tls-ca"));
  EXPECT_THAT(Refusal({.files = {.cert = "c", .ca = "a"}}),
              HasSubstr("--peer-tls-cert is given without --peer-tls-key"));
  EXPECT_THAT(Refusal({.files = {.ca = "a"}}), HasSubstr("--peer-tls-ca is given without"));
  EXPECT_THAT(Refusal({.files = {.cert = "/nowhere/c", .key = "k", .ca = "a"}}),
              HasSubstr("--peer-tls-cert /nowhere/c"));
  EXPECT_THAT(Refusal({.files = {.cert = "c", .key = "k", .ca = "a"}, .allows_plaintext = true}),
              HasSubstr("exclude each other"));
}

}  // namespace
}  // namespace weft
