#include "sandbox/runtimes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace mayfly::sandbox {
namespace {

namespace fs = std::filesystem;

// A folder of interpreters that only know how to tell their version.
class RuntimesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = fs::temp_directory_path() / "mayfly-runtimes-XXXXXX";
    ASSERT_NE(mkdtemp(form.data()), nullptr);
    root_ = form;
    fs::create_directories(root_ / "lang/bin");
  }
  void TearDown() override { fs::remove_all(root_); }

  void add_program(const std::string& name, const std::string& version) const {
    const fs::path path = root_ / "lang/bin" / name;
    std::ofstream(path) << "#!/bin/sh\necho '" << version << "'\n";
    ASSERT_EQ(chmod(path.c_str(), 0755), 0);
  }
  [[nodiscard]] Runtimes discover() const {
    auto made = Runtimes::discover(root_ / "clients", {root_ / "lang/bin"});
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return std::move(*made);
  }

  fs::path root_;
};

bool mounts(const RuntimePlan& plan, const std::string& source, const std::string& target) {
  return std::ranges::any_of(plan.mounts, [&](const Mount& m) { return m.source == source && m.target == target; });
}

std::string variable(const RuntimePlan& plan, const std::string& name) {
  for (const auto& [key, value] : plan.environment) {
    if (key == name) return value;
  }
  return "(unset)";
}

TEST_F(RuntimesTest, plans_an_interpreter_of_a_configured_folder_with_its_installation) {
  add_program("node18", "v18.4.0");
  const auto plan = discover().plan("nodejs18.x", "index.handler");
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  const std::string lang = fs::canonical(root_ / "lang");
  EXPECT_EQ(plan->argv, (std::vector<std::string>{lang + "/bin/node18", "/var/runtime/index.mjs"}));
  EXPECT_TRUE(mounts(*plan, lang, lang));
  EXPECT_TRUE(mounts(*plan, "/usr", "/usr"));
  EXPECT_TRUE(mounts(*plan, root_ / "clients", "/var/runtime"));
  EXPECT_EQ(plan->interpreter_version, "v18.4.0");
  EXPECT_EQ(variable(*plan, "AWS_EXECUTION_ENV"), "AWS_Lambda_nodejs18.x");
  EXPECT_EQ(variable(*plan, "_HANDLER"), "index.handler");
  EXPECT_TRUE(variable(*plan, "PATH").starts_with(lang + "/bin:"));
}

// The program loader's path is /lib64/ld-linux-x86-64.so.2, whether that is a folder or a link into /usr.
TEST_F(RuntimesTest, gives_the_root_folders_that_programs_name) {
  const auto plan = discover().plan("provided.al2023", "x");
  ASSERT_TRUE(plan.has_value());
  EXPECT_TRUE(mounts(*plan, "/bin", "/bin"));
  EXPECT_TRUE(mounts(*plan, "/lib", "/lib"));
}

TEST_F(RuntimesTest, never_mounts_all_of_etc) {
  const auto plan = discover().plan("provided.al2023", "x");
  ASSERT_TRUE(plan.has_value());
  for (const auto& mount : plan->mounts) EXPECT_NE(mount.source, "/etc");
}

TEST_F(RuntimesTest, the_managed_clients_are_written_whole_and_only_once) {
  static_cast<void>(discover());
  const fs::path client = root_ / "clients/lambda_client.py";
  ASSERT_GT(fs::file_size(client), 1000U);
  const auto written = fs::last_write_time(client);
  static_cast<void>(discover());
  EXPECT_EQ(fs::last_write_time(client), written);
  for (const char* name : {"bootstrap.py", "index.mjs", "runtime_api.mjs", "response_stream.mjs"}) {
    EXPECT_TRUE(fs::exists(root_ / "clients" / name)) << name;
  }
}

TEST_F(RuntimesTest, a_missing_interpreter_says_what_was_looked_for_and_what_is_there) {
  add_program("node22", "v22.1.0");
  const auto plan = discover().plan("nodejs16.x", "x");
  ASSERT_FALSE(plan.has_value());
  EXPECT_EQ(plan.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(plan.error().message.find("looked for node of version 16"), std::string::npos) << plan.error().message;
  EXPECT_NE(plan.error().message.find((root_ / "lang/bin").string()), std::string::npos);
  EXPECT_NE(plan.error().message.find("nodejs22.x"), std::string::npos);
  EXPECT_FALSE(plan.error().hint.empty());
}

TEST_F(RuntimesTest, a_newer_interpreter_serves_only_where_allowed) {
  add_program("python3.14", "Python 3.14.1");
  auto runtimes = discover();
  EXPECT_FALSE(runtimes.plan("python3.13", "app.handler").has_value());
  runtimes.allow_substitutes(true);
  const auto plan = runtimes.plan("python3.13", "app.handler");
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->interpreter_version, "Python 3.14.1");
  EXPECT_EQ(variable(*plan, "AWS_EXECUTION_ENV"), "AWS_Lambda_python3.13");
}

TEST_F(RuntimesTest, an_interpreter_that_fails_or_lies_is_passed_over) {
  add_program("python3.9", "no python at all");
  const fs::path broken = root_ / "lang/bin/python3.8";
  std::ofstream(broken) << "#!/bin/sh\nexit 1\n";
  ASSERT_EQ(chmod(broken.c_str(), 0755), 0);
  const auto runtimes = discover();
  for (const auto& found : runtimes.found()) {
    EXPECT_EQ(found.interpreter.find(root_.string()), std::string::npos) << found.name;
  }
}

TEST_F(RuntimesTest, an_unknown_name_is_refused_and_the_known_ones_are_listed) {
  const auto runtimes = discover();
  for (const char* name : {"python3.7", "python3.15", "nodejs21.x", "nodejs20", "java21", "", "nodejs.x"}) {
    const auto plan = runtimes.plan(name, "x");
    ASSERT_FALSE(plan.has_value()) << name;
    EXPECT_EQ(plan.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(plan.error().message.find("provided.al2023"), std::string::npos);
  }
}

TEST_F(RuntimesTest, provided_starts_the_packages_bootstrap_or_the_layers) {
  const auto runtimes = discover();
  fs::create_directories(root_ / "code");
  fs::create_directories(root_ / "layer");
  const std::string code = root_ / "code";
  const std::vector<std::string> layers = {root_ / "layer"};
  const auto neither = runtimes.plan("provided.al2023", "x", code, layers);
  ASSERT_FALSE(neither.has_value());
  EXPECT_EQ(neither.error().message, "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]");
  std::ofstream(root_ / "layer/bootstrap") << "#!/bin/sh\n";
  EXPECT_EQ(runtimes.plan("provided.al2", "x", code, layers)->argv, std::vector<std::string>{"/opt/bootstrap"});
  std::ofstream(root_ / "code/bootstrap") << "#!/bin/sh\n";
  const auto plan = runtimes.plan("provided.al2", "x", code, layers);
  EXPECT_EQ(plan->argv, std::vector<std::string>{"/var/task/bootstrap"});
  EXPECT_EQ(variable(*plan, "AWS_EXECUTION_ENV"), "(unset)");
}

}  // namespace
}  // namespace mayfly::sandbox
