// Chooses the role: the server, or the command line.
#include "app/config.h"
#include "app/serve.h"
#include "cli/cli.h"

int main(int argc, char** argv) {
  mayfly::cli::Hooks hooks;
  hooks.serve = mayfly::app::serve;
  hooks.settings_help = mayfly::app::settings_help;
  for (const auto& setting : mayfly::app::setting_docs()) hooks.setting_names.push_back(setting.name);
  return mayfly::cli::run(argc, argv, hooks);
}
