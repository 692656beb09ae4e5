#include "app/config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace mayfly::app {
namespace {
namespace fs = std::filesystem;

fs::path write_file(const std::string& text) {
  const fs::path path = fs::path(::testing::TempDir()) / "mayfly-config-test.toml";
  std::ofstream(path) << text;
  return path;
}

TEST(Config, LaterSourcesWin) {
  const auto file = write_file("listen = \"127.0.0.1:1\"\nidle_timeout = 5\n[sandbox]\nnetwork = \"none\"\n");
  const auto config =
      load_config(file, {{"MAYFLY_IDLE_TIMEOUT", "6"}, {"MAYFLY_LISTEN", "127.0.0.1:2"}}, {{"listen", "127.0.0.1:3"}});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->listen, "127.0.0.1:3");
  EXPECT_EQ(config->idle_timeout, 6U);
  EXPECT_EQ(config->network, "none");
}

TEST(Config, ReportsEveryProblemAtOnce) {
  const auto file = write_file("lisen = \"x:1\"\naccount = \"12\"\n");
  const auto config = load_config(file, {{"MAYFLY_REACTORS", "many"}, {"MAYFLY_NO_SUCH", "1"}}, {{"tls.key", "k.pem"}});
  ASSERT_FALSE(config);
  const std::string& message = config.error().message;
  for (const std::string_view part :
       {"lisen", "did you mean listen?", "account", "12 digits", "reactors", "MAYFLY_NO_SUCH", "tls.certificate"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;
  }
}

TEST(Config, SaysWhereTheFileIsNotToml) {
  const auto config = load_config(write_file("a = 1\nb = ]\n"), {}, {});
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().message.find(":2:"), std::string::npos) << config.error().message;
}

TEST(Config, ThePageDocumentsEverySetting) {
  std::ifstream page("docs/configuration.md");
  const std::string text{std::istreambuf_iterator<char>(page), {}};
  for (const auto& setting : setting_docs()) {
    EXPECT_NE(text.find("`" + setting.name + "`"), std::string::npos) << setting.name;
    EXPECT_NE(text.find("`" + setting.environment + "`"), std::string::npos) << setting.environment;
    EXPECT_NE(text.find(setting.help), std::string::npos) << setting.help;
  }
}

}  // namespace
}  // namespace mayfly::app
