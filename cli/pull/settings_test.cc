#include "cli/pull/settings.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace weft::pull {
namespace {

struct Settings : ::testing::Test {
  Settings() {
    for (const char* name : {"HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN", "HF_TOKEN_PATH",
                             "HF_HUB_OFFLINE", "XDG_CACHE_HOME"}) {
      unsetenv(name);
    }
    setenv("HOME", "/home/ada", 1);
  }
};

TEST_F(Settings, AreThoseOfTheOtherTools) {
  EXPECT_EQ(SettingsFromEnvironment().cache, "/home/ada/.cache/huggingface/hub");
  EXPECT_EQ(SettingsFromEnvironment().endpoint, "https://huggingface.co");
  EXPECT_FALSE(SettingsFromEnvironment().is_offline);
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(SettingsFromEnvironment().cache, "/xdg/huggingface/hub");
  setenv("HF_HOME", "/hf", 1);
  EXPECT_EQ(SettingsFromEnvironment().cache, "/hf/hub");
  setenv("HF_HUB_CACHE", "/models", 1);
  EXPECT_EQ(SettingsFromEnvironment().cache, "/models");
  setenv("HF_ENDPOINT", "https://mirror.example/hf/", 1);
  EXPECT_EQ(SettingsFromEnvironment().endpoint, "https://mirror.example/hf");
  setenv("HF_HUB_OFFLINE", "True", 1);
  EXPECT_TRUE(SettingsFromEnvironment().is_offline);
  setenv("HF_HUB_OFFLINE", "0", 1);
  EXPECT_FALSE(SettingsFromEnvironment().is_offline);
}

TEST_F(Settings, TheTokenIsTheVariablesElseTheLoginsFile) {
  const std::string home = ::testing::TempDir() + "hf-home";
  std::filesystem::create_directories(home);
  std::ofstream(home + "/token") << "hf_login\n";
  setenv("HF_HOME", home.c_str(), 1);
  EXPECT_EQ(SettingsFromEnvironment().token, "hf_login");
  setenv("HF_TOKEN", " hf_variable\n", 1);
  EXPECT_EQ(SettingsFromEnvironment().token, "hf_variable");
  std::filesystem::remove_all(home);
}

}  // namespace
}  // namespace weft::pull
