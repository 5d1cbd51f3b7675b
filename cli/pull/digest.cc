#include "cli/pull/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace weft::pull {

bool IsWellFormed(const Digest& digest) {
  const size_t length = digest.kind == Digest::Kind::kSha256 ? 64 : 40;
  return digest.hex.size() == length &&
         digest.hex.find_first_not_of("0123456789abcdef") == std::string::npos;
}

absl::StatusOr<std::string> HashFile(const std::string& path, int64_t size, Digest::Kind kind,
                                     const std::atomic<bool>& stop) {
  constexpr int64_t kChunkBytes = 1 << 20;
  const bool is_git = kind == Digest::Kind::kGitBlob;
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), is_git ? EVP_sha1() : EVP_sha256(), nullptr);
  if (is_git) {
    const std::string head = absl::StrCat("blob ", size) + '\0';
    EVP_DigestUpdate(context.get(), head.data(), head.size());
  }
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, path);
  const std::unique_ptr<const int, void (*)(const int*)> closer(&fd,
                                                                [](const int* f) { close(*f); });
  std::vector<char> chunk(kChunkBytes);
  for (int64_t left = size; left > 0;) {
    if (stop) return absl::CancelledError("stopped");
    const ssize_t num_read = read(fd, chunk.data(), std::min(left, kChunkBytes));
    if (num_read < 0 && errno == EINTR) continue;
    if (num_read < 0) return absl::ErrnoToStatus(errno, path);
    if (num_read == 0) return absl::DataLossError(absl::StrCat(path, " has become shorter"));
    EVP_DigestUpdate(context.get(), chunk.data(), num_read);
    left -= num_read;
  }
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(context.get(), bytes, &length);
  return absl::BytesToHexString({reinterpret_cast<const char*>(bytes), length});
}

}  // namespace weft::pull
