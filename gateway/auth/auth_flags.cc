#include "common/flags.h"
#include "gateway/auth/access.h"

namespace weft::auth {

void AddAccessFlags(Flags& flags, AccessOptions& options) {
  flags
      .Add("--api-key", options.api_keys,
           "Key that requests must bring; several are given as often, or apart by commas. Such a "
           "key may do everything. In the environment nobody reads it from the list of processes")
      ->allow_extra_args(false);
  flags.Add("--api-key-file", options.api_key_file,
            "JSON file of hashed keys, each with name, tenant, models and limits (docs/access.md); "
            "read again when it changes. With neither flag no key is asked for");
}

}  // namespace weft::auth
