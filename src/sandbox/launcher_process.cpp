// The launcher process: forked by main() before threads, the only one that keeps privileges. It serves one daemon over
// one socket, one message after the other, and ends with it.
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "sandbox/launcher.h"
#include "sandbox/launcher_protocol.h"
#include "sandbox/launcher_server.h"

namespace mayfly::sandbox {
namespace {

constexpr int kReadyTimeoutMs = 30'000;

[[noreturn]] void run_launcher(const LauncherSettings& settings, UniqueFd socket, int daemon) {
  // Only the daemon's end ends the launcher: a signal to the whole group or session lets the daemon finish its work.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) {
    if (::signal(signal, SIG_IGN) == SIG_ERR) ::_exit(1);
  }
  sigset_t parent_death{};
  ::sigemptyset(&parent_death);
  ::sigaddset(&parent_death, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &parent_death, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
  ::prctl(PR_SET_NAME, "mayfly-launcher", 0, 0, 0);
  if (::getppid() != daemon) ::_exit(1);
  const timeval patience{.tv_sec = 30, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  LauncherServer server(settings, std::move(socket));
  if (auto ready = server.prepare(); !ready) {
    const json::object refusal{{"op", "refused"},
                               {"code", static_cast<int>(ready.error().code)},
                               {"message", ready.error().message},
                               {"hint", ready.error().hint}};
    server.end_all();
    (void)send_packet(server.socket().get(), to_json(refusal), {});
    ::_exit(1);
  }
  server.serve();
  ::_exit(0);
}

std::size_t threads_here() {
  std::error_code error;
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) ++count;
  return count;
}

}  // namespace

Result<LauncherProcess> fork_launcher(const LauncherSettings& settings) {
  if (threads_here() != 1) return fail(ErrorCode::kInternal, "the launcher must be forked before any thread exists");
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
  UniqueFd here(ends[0]);
  UniqueFd there(ends[1]);
  const int daemon = ::getpid();
  const int pid = ::fork();
  if (pid < 0) return fail_errno("fork the launcher");
  if (pid == 0) {
    here.reset();
    run_launcher(settings, std::move(there), daemon);
  }
  there.reset();
  LauncherProcess process{.socket = std::move(here), .pid = pid, .capabilities_json = {}};
  pollfd ready{.fd = process.socket.get(), .events = POLLIN, .revents = 0};
  const bool answered = ::poll(&ready, 1, kReadyTimeoutMs) > 0;
  auto packet = answered ? receive_packet(process.socket.get(), true)
                         : Result<Packet>(fail(ErrorCode::kTimeout, "the launcher was not ready in time"));
  auto message = packet ? parse_json(packet->text) : Result<json::value>(std::unexpected(packet.error()));
  if (message && get_string(*message, "op") == "ready") {
    process.capabilities_json = std::string(get_string(*message, "capabilities"));
    return process;
  }
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!message) return std::unexpected(message.error());
  return fail(static_cast<ErrorCode>(get_int(*message, "code")), std::string(get_string(*message, "message")),
              std::string(get_string(*message, "hint")));
}

}  // namespace mayfly::sandbox
