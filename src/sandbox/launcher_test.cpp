// Attacks the sandbox from inside, with the real launcher: needs root, and skips loudly without.
#include "sandbox/launcher.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/crypto.h"
#include "base/encoding.h"
#include "sandbox/capabilities.h"
#include "sandbox/launcher_protocol.h"

namespace mayfly::sandbox {
namespace {

namespace fs = std::filesystem;

std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 4096> bytes{};
  for (;;) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 20'000) <= 0) return text + "<no end>";
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    if (got <= 0) return text;
    text.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

// Groups and processes of our own that are left anywhere.
std::vector<std::string> leftovers(const std::string& state) {
  const std::string server = "mayfly-" + hex_encode(sha256(state)).substr(0, 12);
  std::vector<std::string> found;
  std::error_code error;
  fs::recursive_directory_iterator walk("/sys/fs/cgroup", fs::directory_options::skip_permission_denied, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    if (walk->is_directory(error) && walk->path().filename() == server) {
      found.push_back(walk->path().string());
    }
  }
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line;
  while (std::getline(mounts, line)) {
    if (line.find(state) != std::string::npos) found.push_back(line);
  }
  return found;
}

class LauncherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: the sandbox's attack tests need root";
    std::string pattern = (fs::temp_directory_path() / "mayfly-launcher-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    state_ = pattern;
    code_ = state_ + "-code";
    fs::create_directory(code_);
    auto process = fork_launcher({.state_directory = state_,
                                  .allow_degraded = true,
                                  .network = {.mode = NetworkMode::kLoopback, .networks = {}}});
    ASSERT_TRUE(process) << process.error().message;
    pid_ = process->pid;
    capabilities_ = process->capabilities_json;
    launcher_ = connect_launcher(reactor_, std::move(*process));
    launcher_->on_exit([this](const Exited& exit) { exits_[exit.id.str()] = exit; });
  }

  void TearDown() override {
    if (!launcher_) return;
    bool done = false;
    run(
        [&]() -> Awaitable<void> {
          co_await launcher_->shutdown();
          done = true;
        },
        [&] { return done; });
    launcher_.reset();
    reactor_.poll();
    EXPECT_TRUE(leftovers(state_).empty()) << leftovers(state_)[0];
    EXPECT_NE(::kill(pid_, 0), 0);
    fs::remove_all(state_);
    fs::remove_all(code_);
  }

  // Runs a task and the reactor until `done`, at most some seconds of real time.
  void run(const std::function<Awaitable<void>()>& task, const std::function<bool()>& done) {
    if (task) ASSERT_TRUE(scope_.spawn(reactor_, "test", task));
    for (int i = 0; i < 20'000 && !done(); ++i) {
      reactor_.poll();
      ::poll(nullptr, 0, 1);
    }
    ASSERT_TRUE(done());
    reactor_.poll();
  }

  SandboxSpec shell(const std::string& script) {
    SandboxSpec spec;
    spec.id = SandboxId(fmt::format("test-sandbox-{}", ++count_));
    for (const char* folder : {"/usr", "/bin", "/lib", "/lib64"}) {
      if (fs::exists(folder)) spec.mounts.push_back({folder, folder});
    }
    spec.mounts.push_back({code_, "/var/task"});
    spec.argv = {"/bin/sh", "-c", script};
    spec.environment = {{"PATH", "/usr/bin:/bin"}, {"GREETING", "hello"}};
    return spec;
  }

  Result<Started> start(const SandboxSpec& spec) {
    std::optional<Result<Started>> result;
    run(
        [&]() -> Awaitable<void> {
          SandboxSpec copy = spec;
          result = co_await launcher_->start(std::move(copy));
        },
        [&] { return result.has_value(); });
    return std::move(*result);
  }

  Exited wait_exit(const SandboxSpec& spec) {
    run(nullptr, [&] { return exits_.contains(spec.id.str()); });
    return exits_[spec.id.str()];
  }

  // The output of a script that runs to its end.
  std::string output_of(const SandboxSpec& spec) {
    auto started = start(spec);
    if (!started) return "not started: " + started.error().message;
    std::string text = read_to_end(started->output.get());
    wait_exit(spec);
    return text;
  }
  std::string output_of(const std::string& script) { return output_of(shell(script)); }

  std::string ready_made(const std::function<SandboxSpec()>& make);

  RealClock clock_;
  Reactor reactor_{clock_, "test"};
  Scope scope_{"test"};
  std::string state_;
  std::string code_;
  std::string capabilities_;
  int pid_ = -1;
  int count_ = 0;
  std::unique_ptr<Launcher> launcher_;
  std::map<std::string, Exited> exits_;
};

TEST_F(LauncherTest, runs_a_program_and_reports_its_exit) {
  const auto spec = shell("echo $GREETING; id -u; id -un; pwd; exit 7");
  EXPECT_EQ(output_of(spec), "hello\n993\nsbx_user1051\n/var/task\n");
  const Exited exit = exits_[spec.id.str()];
  EXPECT_TRUE(WIFEXITED(exit.status));
  EXPECT_EQ(WEXITSTATUS(exit.status), 7);
  EXPECT_FALSE(exit.out_of_memory);
  EXPECT_GT(exit.peak_memory_bytes, 0U);
}

TEST_F(LauncherTest, a_missing_program_names_the_step) {
  auto spec = shell("");
  spec.argv = {"/var/task/bootstrap"};
  const auto started = start(spec);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kNotFound);
  EXPECT_NE(started.error().message.find("execute the program /var/task/bootstrap"), std::string::npos)
      << started.error().message;
}

TEST_F(LauncherTest, the_host_is_out_of_sight) {
  EXPECT_EQ(output_of("ls /"), "bin\ndev\netc\nhome\nlib\nlib64\nopt\nproc\nrun\ntmp\nusr\nvar\n");
  EXPECT_EQ(output_of("ls /home /run /sys /root 2>/dev/null | grep -v -e '^$' -e :"), "");
  EXPECT_EQ(output_of("cat /etc/shadow 2>/dev/null; ls /dev; cat /proc/kcore 2>/dev/null; cat /proc/cmdline"),
            "fd\nfull\nnull\nrandom\nshm\nstderr\nstdin\nstdout\nurandom\nzero\n");
  // The shell, ls, and wc where it has started by then; the init is hidden.
  EXPECT_LE(std::stoi(output_of("ls -d /proc/[0-9]* | wc -l")), 3);
  EXPECT_EQ(output_of("ls /proc/1/root /proc/1/environ 2>/dev/null"), "");
  EXPECT_EQ(output_of("hostname; cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '"), "mayfly\nlo\n");
}

TEST_F(LauncherTest, nothing_is_writable_but_tmp) {
  EXPECT_EQ(output_of("for f in /x /etc/x /usr/x /var/task/x /opt/x /dev/x /proc/sys/kernel/hostname "
                      "/proc/self/oom_score_adj; do echo y 2>/dev/null >$f && echo wrote $f; done; "
                      "echo z >/tmp/x && cat /tmp/x; cp /bin/true /tmp/t && /tmp/t && echo ran"),
            "z\nran\n");
}

TEST_F(LauncherTest, no_privilege_is_left) {
  EXPECT_EQ(output_of("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'"),
            "CapInh:0000000000000000\nCapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:0000000000000000\n"
            "CapAmb:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n");
  EXPECT_EQ(output_of("unshare -r true 2>/dev/null || echo 1; unshare -m true 2>/dev/null || echo 2; "
                      "mount -t tmpfs x /tmp 2>/dev/null || echo 3; chroot / true 2>/dev/null || echo 4; "
                      "kill -9 1; kill -0 1 2>/dev/null && echo alive"),
            "1\n2\n3\n4\nalive\n");
}

TEST_F(LauncherTest, tmp_is_bounded) {
  auto spec = shell("head -c 20000000 /dev/zero >/tmp/fill 2>/dev/null; stat -c %s /tmp/fill");
  spec.limits.tmp_bytes = 4 << 20;
  EXPECT_EQ(output_of(spec), "4194304\n");
}

TEST_F(LauncherTest, a_memory_bomb_is_ended_and_said_to_be_one) {
  const auto capabilities = capabilities_from_json(capabilities_);
  ASSERT_TRUE(capabilities);
  if (!capabilities->has("cgroup.memory")) GTEST_SKIP() << "SKIPPED: no memory controller on this machine";
  auto spec = shell("exec tail /dev/zero");
  spec.limits.memory_bytes = 48 << 20;
  output_of(spec);
  const Exited exit = exits_[spec.id.str()];
  EXPECT_TRUE(exit.out_of_memory);
  EXPECT_TRUE(WIFSIGNALED(exit.status) && WTERMSIG(exit.status) == SIGKILL) << exit.status;
  EXPECT_GE(exit.peak_memory_bytes, 40U << 20);
  EXPECT_LE(exit.peak_memory_bytes, 48U << 20);
}

TEST_F(LauncherTest, a_fork_bomb_is_bounded_and_can_be_killed) {
  auto spec = shell("f() { f | f & }; (f) 2>/dev/null & while :; do :; done");
  spec.limits.pids = 30;
  auto bomb = start(spec);
  ASSERT_TRUE(bomb) << bomb.error().message;
  EXPECT_EQ(output_of("echo the neighbour lives"), "the neighbour lives\n");
  launcher_->kill(spec.id);
  launcher_->kill(spec.id);
  EXPECT_TRUE(WIFSIGNALED(wait_exit(spec).status));
  EXPECT_FALSE(wait_exit(spec).out_of_memory);
}

TEST_F(LauncherTest, descriptors_are_bounded_and_none_is_inherited) {
  auto spec = shell("ulimit -n; ulimit -c; ls /proc/self/fd | wc -l");
  spec.limits.open_files = 64;
  EXPECT_EQ(output_of(spec), "64\n0\n4\n");  // three, and the one that ls reads with
}

// Each sandbox has several descriptors in the launcher; one that began with copies of them all would find no number
// below its limit after some dozens here, and after some hundreds with the limit of functions.
TEST_F(LauncherTest, a_limit_on_open_files_does_not_limit_how_many_sandboxes_there_are) {
  for (int i = 0; i < 30; ++i) {
    auto spec = shell("exec sleep 60");
    spec.limits.open_files = 64;
    const auto started = start(spec);
    ASSERT_TRUE(started) << i << ": " << started.error().message;
  }
}

TEST_F(LauncherTest, the_runtime_api_is_listened_on_inside) {
  const auto spec = shell("cat /proc/net/tcp | grep -c 0100007F:2329; sleep 60");
  auto started = start(spec);
  ASSERT_TRUE(started) << started.error().message;
  int listening = 0;
  socklen_t size = sizeof listening;
  ASSERT_EQ(::getsockopt(started->runtime_api.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size), 0);
  EXPECT_EQ(listening, 1);
  EXPECT_NE(::fcntl(started->runtime_api.get(), F_GETFL) & O_NONBLOCK, 0);
  pollfd ready{.fd = started->output.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
  char answer = 0;
  ASSERT_EQ(::read(started->output.get(), &answer, 1), 1);
  EXPECT_EQ(answer, '1');
  // Left running: the end of the test kills it, and looks for what remains.
}

TEST_F(LauncherTest, layers_are_merged_and_the_later_one_wins) {
  for (const char* layer : {"-one", "-two"}) {
    fs::create_directories(code_ + layer);
    std::ofstream(code_ + layer + "/both") << layer;
    std::ofstream(code_ + layer + "/only" + layer) << layer;
  }
  auto spec = shell("cat /opt/both; ls /opt");
  spec.opt_layers = {code_ + "-one", code_ + "-two"};
  EXPECT_EQ(output_of(spec), "-twoboth\nonly-one\nonly-two\n");
  fs::remove_all(code_ + "-one");
  fs::remove_all(code_ + "-two");
}

TEST_F(LauncherTest, an_impossible_specification_is_refused) {
  auto spec = shell("true");
  spec.mounts.push_back({"/etc", "/var/etc"});
  auto started = start(spec);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kInvalid);
  spec = shell("true");
  spec.mounts.push_back({code_, "/var/../proc"});
  EXPECT_FALSE(start(spec));
  spec = shell("true");
  spec.network = NetworkMode::kOutbound;
  started = start(spec);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kUnsupported);
}

TEST_F(LauncherTest, the_end_of_the_launcher_ends_everything) {
  const auto spec = shell("sleep 60");
  auto started = start(spec);
  ASSERT_TRUE(started) << started.error().message;
  ::kill(pid_, SIGKILL);
  EXPECT_EQ(read_to_end(started->output.get()), "");  // the sandbox died with it
  EXPECT_EQ(wait_exit(spec).status, SIGKILL);
  EXPECT_EQ(start(shell("true")).error().code, ErrorCode::kClosed);
  // The next launcher of the same state removes what the killed one left.
  auto next = fork_launcher(
      {.state_directory = state_, .allow_degraded = true, .network = {.mode = NetworkMode::kLoopback, .networks = {}}});
  ASSERT_TRUE(next) << next.error().message;
  pid_ = next->pid;
  launcher_ = connect_launcher(reactor_, std::move(*next));
}

// What a runtime does that is started ahead, as a script: says that it is loaded, and reads what function it is.
constexpr const char* kRuntime = R"(printf r >&3; go=$(cat <&3); exec 3<&-; echo "$go")";

// Starts of this kind, each to its end, until one was ready-made; that one's output.
std::string LauncherTest::ready_made(const std::function<SandboxSpec()>& make) {
  launcher_->expect(make());
  for (int i = 0; i < 200; ++i) {
    const SandboxSpec spec = make();
    auto started = start(spec);
    if (!started) return "not started: " + started.error().message;
    std::string text = read_to_end(started->output.get());
    wait_exit(spec);
    if (started->ready_made) return text;
    ::poll(nullptr, 0, 20);
  }
  return "none was ready";
}

TEST_F(LauncherTest, a_ready_sandbox_runs_what_it_is_assigned) {
  std::ofstream(code_ + "/file") << "code";
  const auto make = [&] {
    auto spec = shell(
        "cat file; echo $GREETING; ls -A /tmp /dev/shm /opt | grep -v : | tr -d '\\n'; ls /proc/self/fd | wc -l; "
        "grep -E '^(CapPrm|CapBnd|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'");
    spec.ahead = Ahead::kSandbox;
    return spec;
  };
  EXPECT_EQ(ready_made(make),
            "codehello\n4\nCapPrm:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n");
}

TEST_F(LauncherTest, a_runtime_started_ahead_is_told_its_function_and_sees_its_code) {
  std::ofstream(code_ + "/file") << "code";
  fs::create_directories(code_ + "-layer");
  std::ofstream(code_ + "-layer/of-the-layer") << "";
  const auto make = [&] {
    auto spec = shell(std::string(kRuntime) +
                      "; cat /var/task/file; ls /opt; ls /proc/self/fd | wc -l; "
                      "cat /proc/$$/environ | tr '\\0' '\\n' | grep -c hello");
    spec.runtime_environment = {{"PATH", "/usr/bin:/bin"}};
    spec.opt_layers = {code_ + "-layer"};
    spec.ahead = Ahead::kRuntime;
    return spec;
  };
  EXPECT_EQ(ready_made(make), R"({"directory":"/var/task","environment":{"PATH":"/usr/bin:/bin","GREETING":"hello"}})"
                              "\ncodeof-the-layer\n4\n0\n");
  fs::remove_all(code_ + "-layer");
}

TEST_F(LauncherTest, a_ready_sandbox_has_nothing_of_another_and_is_used_once) {
  int number = 0;
  const auto make = [&] {
    auto spec = shell(
        "cat /tmp/* /dev/shm/* 2>/dev/null; cat /proc/$$/environ | tr '\\0' '\\n' | grep SECRET; "
        "echo mine >/tmp/mine; echo mine >/dev/shm/mine; ls -d /proc/[0-9]* | wc -l");
    spec.environment.emplace_back("SECRET", std::to_string(++number));
    spec.ahead = Ahead::kSandbox;
    return spec;
  };
  for (int i = 0; i < 3; ++i) {
    const std::string text = ready_made(make);
    EXPECT_TRUE(text.starts_with(fmt::format("SECRET={}\n", number))) << text;
    EXPECT_EQ(text.find("mine"), std::string::npos) << text;
    const auto line = text.find('\n');
    ASSERT_TRUE(line != std::string::npos && line + 1 < text.size()) << text;
    EXPECT_LE(std::stoi(text.substr(line + 1)), 4) << text;
  }
}

TEST_F(LauncherTest, the_limits_of_its_function_hold_in_a_ready_sandbox) {
  const auto capabilities = capabilities_from_json(capabilities_);
  ASSERT_TRUE(capabilities);
  if (!capabilities->has("cgroup.memory")) GTEST_SKIP() << "SKIPPED: no memory controller on this machine";
  std::string last;
  const auto make = [&] {
    auto spec = shell("head -c 20000000 /dev/zero >/tmp/fill 2>/dev/null; stat -c %s /tmp/fill; exec tail /dev/zero");
    spec.limits.tmp_bytes = 4 << 20;
    spec.limits.memory_bytes = 48 << 20;
    spec.ahead = Ahead::kSandbox;
    last = spec.id.str();
    return spec;
  };
  EXPECT_EQ(ready_made(make), "4194304\n");
  EXPECT_TRUE(exits_[last].out_of_memory);
  EXPECT_LE(exits_[last].peak_memory_bytes, 48U << 20);
}

TEST_F(LauncherTest, a_missing_program_is_named_in_a_ready_sandbox_too) {
  const auto make = [&] {
    auto spec = shell("true");
    spec.ahead = Ahead::kSandbox;
    return spec;
  };
  EXPECT_EQ(ready_made(make), "");
  auto spec = make();
  spec.argv = {"/var/task/bootstrap"};
  const auto started = start(spec);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kNotFound);
  EXPECT_NE(started.error().message.find("execute the program /var/task/bootstrap"), std::string::npos);
}

TEST_F(LauncherTest, a_runtime_that_died_while_it_was_ready_costs_its_function_nothing) {
  for (int i = 0; i < 20; ++i) {
    auto spec = shell("if [ -n \"$AHEAD\" ]; then printf r >&3; exit 1; fi; echo directly");
    spec.runtime_environment = {{"AHEAD", "1"}};
    spec.ahead = Ahead::kRuntime;
    auto started = start(spec);
    ASSERT_TRUE(started) << started.error().message;
    EXPECT_FALSE(started->ready_made);
    EXPECT_EQ(read_to_end(started->output.get()), "directly\n");
    wait_exit(spec);
  }
}

TEST_F(LauncherTest, many_start_at_once) {
  std::vector<SandboxSpec> specs;
  std::size_t up = 0;
  for (int i = 0; i < 50; ++i) {
    specs.push_back(shell("exit 0"));
    specs.back().ahead = i % 2 == 0 ? Ahead::kSandbox : Ahead::kNothing;
  }
  for (const auto& spec : specs) {
    ASSERT_TRUE(scope_.spawn(reactor_, "test", [&, &spec = spec]() -> Awaitable<void> {
      SandboxSpec copy = spec;
      auto started = co_await launcher_->start(std::move(copy));
      EXPECT_TRUE(started);
      ++up;
    }));
  }
  run(nullptr, [&] { return up == specs.size() && exits_.size() == specs.size(); });
}

// A figure for people, with no assertion on it.
TEST_F(LauncherTest, start_time) {
  std::vector<double> times;
  for (int i = 0; i < 20; ++i) {
    const auto spec = shell("exit 0");
    const auto before = clock_.steady_now();
    auto started = start(spec);
    ASSERT_TRUE(started) << started.error().message;
    times.push_back(std::chrono::duration<double, std::milli>(clock_.steady_now() - before).count());
    wait_exit(spec);
  }
  std::sort(times.begin(), times.end());
  RecordProperty("p50_ms", fmt::format("{:.1f}", times[10]));
  std::printf("start of a sandbox: p50 %.1f ms, slowest %.1f ms\n", times[10], times.back());
}

TEST(LauncherProtocol, paths_and_names_are_checked) {
  EXPECT_TRUE(is_plain_path("/var/task"));
  for (const char* bad : {"", "/", "a", "/a/", "/a//b", "/a/../b", "/./a"}) EXPECT_FALSE(is_plain_path(bad)) << bad;
  EXPECT_TRUE(is_sandbox_id("a-1"));
  for (const char* bad : {"", "A", "a/b", "a.b", ".."}) EXPECT_FALSE(is_sandbox_id(bad)) << bad;
}

TEST(LauncherProtocol, a_specification_survives_the_way) {
  SandboxSpec spec;
  spec.id = SandboxId("one");
  spec.mounts = {{"/usr", "/usr"}};
  spec.argv = {"/bin/true"};
  spec.environment = {{"A", "b=c"}};
  spec.limits.pids = 5;
  spec.ahead = Ahead::kRuntime;
  spec.runtime_environment = {{"LANG", "C"}};
  const auto back = spec_from_json(spec_to_json(spec));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->mounts[0].source, "/usr");
  EXPECT_EQ(back->environment, spec.environment);
  EXPECT_EQ(back->limits.pids, 5U);
  EXPECT_EQ(back->ahead, Ahead::kRuntime);
  EXPECT_EQ(back->runtime_environment, spec.runtime_environment);
  EXPECT_FALSE(spec_from_json(json::value("hello")));
  spec.argv = {"relative"};
  EXPECT_FALSE(spec_from_json(spec_to_json(spec)));
}

}  // namespace
}  // namespace mayfly::sandbox
