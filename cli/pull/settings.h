// Where models come from and where they are kept: the variables of the Hugging Face tools, so that
// what is set for those holds here.
#pragma once

#include <string>

namespace weft::pull {

struct HubSettings {
  std::string endpoint = "https://huggingface.co";  // HF_ENDPOINT: a mirror
  std::string token;        // HF_TOKEN, else what `hf auth login` left in $HF_HOME/token
  std::string cache;        // HF_HUB_CACHE, else $HF_HOME/hub
  bool is_offline = false;  // HF_HUB_OFFLINE: the cache has it, or nobody
  std::string ca_file;      // --ca-file
};

HubSettings SettingsFromEnvironment();

}  // namespace weft::pull
