#include "common/process_name.h"

#include <unistd.h>

#include <chrono>

#include "absl/strings/str_cat.h"

namespace weft {

std::string UniqueProcessName() {
  char host[256] = "localhost";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, "-", getpid(), "-",
                      std::chrono::system_clock::now().time_since_epoch().count());
}

}  // namespace weft
