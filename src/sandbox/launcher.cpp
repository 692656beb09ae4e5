// The daemon's side of the launcher's socket.
#include "sandbox/launcher.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "base/log.h"
#include "sandbox/launcher_protocol.h"

namespace mayfly::sandbox {
namespace {

namespace asio = boost::asio;
constexpr std::chrono::seconds kAnswerTimeout{30};
constexpr std::size_t kMaxWaiting = 4096;  // requests without an answer, and messages that the socket has no room for

// Operation.   start() and kill() post to the launcher's reactor, which alone touches the socket and the tables.
// Concurrency. Everything below State belongs to that reactor; answers go back through OneShot.
// Limits.      kMaxWaiting requests; each answer within kAnswerTimeout.
struct State : std::enable_shared_from_this<State> {
  State(Reactor& r, LauncherProcess process) : reactor(r), socket(r.io(), process.socket.release()), pid(process.pid) {}

  struct PendingStart {
    std::string id;
    OneShot<Result<Started>> answer;
  };

  void listen() {
    socket.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](boost::system::error_code ec) {
                        if (!ec) self->read_all();
                      });
  }

  void read_all() {
    for (;;) {
      auto packet = receive_packet(socket.native_handle(), false);
      if (packet) {
        handle(std::move(*packet));
      } else if (packet.error().code == ErrorCode::kThrottled) {
        return listen();
      } else {
        return end();
      }
    }
  }

  void handle(Packet packet) {
    auto message = parse_json(packet.text);
    if (!message) return;
    const std::string_view op = get_string(*message, "op");
    const std::int64_t sequence = get_int(*message, "seq", -1);
    if (op == "exited") {
      return exited({.id = SandboxId(std::string(get_string(*message, "id"))),
                     .status = static_cast<int>(get_int(*message, "status")),
                     .out_of_memory = get_bool(*message, "oom", false),
                     .peak_memory_bytes = static_cast<std::uint64_t>(get_int(*message, "peak"))});
    }
    if (op == "peak") {
      auto node = peaks.extract(sequence);
      if (!node) return;
      if (get_bool(*message, "found", false)) {
        node.mapped().set(static_cast<std::uint64_t>(get_int(*message, "bytes")));
      } else {
        node.mapped().set(fail(ErrorCode::kNotFound, "no such sandbox runs"));
      }
      return;
    }
    auto node = starts.extract(sequence);
    if (!node) return;
    if (op == "started" && packet.fds.size() == 3) {
      alive.insert(node.mapped().id);
      Started started{.runtime_api = std::move(packet.fds[0]),
                      .secrets = std::move(packet.fds[1]),
                      .output = std::move(packet.fds[2]),
                      .ready_made = get_bool(*message, "ready_made", false),
                      .memory_bytes = static_cast<std::uint64_t>(get_int(*message, "memory")),
                      .code_time = std::chrono::microseconds(get_int(*message, "code_us"))};
      // Nobody waits any more: the sandbox is nobody's.
      if (!node.mapped().answer.set(std::move(started))) send({{"op", "kill"}, {"id", node.mapped().id}});
    } else {
      node.mapped().answer.set(fail(static_cast<ErrorCode>(get_int(*message, "code", int{})),
                                    std::string(get_string(*message, "message", "the launcher answered nonsense")),
                                    std::string(get_string(*message, "hint"))));
    }
  }

  void exited(const Exited& exit) {
    if (alive.erase(exit.id.str()) != 0 && callback) callback(exit);
  }

  void send(const json::object& message) {
    if (ended) return;
    waiting.push_back(to_json(message));
    flush();
  }

  void flush() {
    while (!waiting.empty()) {
      auto sent = send_packet(socket.native_handle(), waiting.front(), {});
      if (!sent && sent.error().code == ErrorCode::kThrottled) {
        if (std::exchange(waiting_to_write, true)) return;
        socket.async_wait(asio::posix::stream_descriptor::wait_write,
                          [self = shared_from_this()](boost::system::error_code ec) {
                            self->waiting_to_write = false;
                            if (!ec) self->flush();
                          });
        return;
      }
      // An ended launcher is seen by the reading side, which then fails everything that waits.
      waiting.pop_front();
    }
  }

  void end() {
    if (std::exchange(ended, true)) return;
    if (!stopping) log(Level::kError, "the launcher has ended unexpectedly; no sandbox can be started any more");
    boost::system::error_code ignored;
    socket.close(ignored);
    waiting.clear();
    for (auto& [sequence, start] : std::exchange(starts, {})) {
      start.answer.set(fail(ErrorCode::kClosed, "the launcher has ended"));
    }
    for (auto& [sequence, peak] : std::exchange(peaks, {})) {
      peak.set(fail(ErrorCode::kClosed, "the launcher has ended"));
    }
    for (const auto& id : std::exchange(alive, {})) {
      if (callback) callback({.id = SandboxId(id), .status = SIGKILL, .out_of_memory = false, .peak_memory_bytes = 0});
    }
    // The socket's end is the process's last act but its exit, so this does not wait to speak of.
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    gone.set(true);
  }

  Reactor& reactor;
  asio::posix::stream_descriptor socket;
  int pid;
  std::function<void(const Exited&)> callback;
  std::map<std::int64_t, PendingStart> starts;
  std::map<std::int64_t, OneShot<Result<std::uint64_t>>> peaks;
  std::set<std::string> alive;
  std::deque<std::string> waiting;
  OneShot<bool> gone;
  std::int64_t last_sequence = 0;
  bool waiting_to_write = false;
  bool stopping = false;
  bool ended = false;
};

class SocketLauncher final : public Launcher {
 public:
  explicit SocketLauncher(std::shared_ptr<State> state) : state_(std::move(state)) {
    state_->reactor.post([state = state_] { state->listen(); });
  }
  SocketLauncher(const SocketLauncher&) = delete;
  SocketLauncher& operator=(const SocketLauncher&) = delete;
  ~SocketLauncher() override {
    // Closing the socket is what ends a launcher that nobody shut down.
    state_->reactor.post([state = state_] {
      boost::system::error_code ignored;
      state->socket.close(ignored);
    });
  }

  Awaitable<Result<Started>> start(SandboxSpec spec) override {
    auto state = state_;
    OneShot<Result<Started>> answer;
    std::function<void()> request = [state, answer, spec = std::move(spec)]() mutable {
      if (state->ended || state->stopping) {
        answer.set(fail(ErrorCode::kClosed, "the launcher has ended"));
        return;
      }
      if (state->starts.size() >= kMaxWaiting || state->waiting.size() >= kMaxWaiting) {
        answer.set(fail(ErrorCode::kThrottled, "too many sandboxes wait for the launcher"));
        return;
      }
      const std::int64_t sequence = ++state->last_sequence;
      json::object message{{"op", "start"}, {"seq", sequence}, {"spec", spec_to_json(spec)}};
      if (to_json(message).size() > kMaxMessageBytes) {
        answer.set(fail(ErrorCode::kTooLarge, "the sandbox's specification is too large"));
        return;
      }
      state->starts.emplace(sequence, State::PendingStart{.id = spec.id.str(), .answer = answer});
      state->send(message);
    };
    state->reactor.post(std::move(request));
    const SteadyTime deadline = state->reactor.steady_now() + kAnswerTimeout;
    auto result = co_await answer.get_until(deadline);
    if (result) co_return std::move(*result);
    // Takes the slot, so that a late answer finds it taken and kills what nobody waits for.
    answer.set(fail(ErrorCode::kTimeout, "the launcher did not answer in time"));
    auto late = co_await answer.get_until(deadline);
    if (late) co_return std::move(*late);
    co_return fail(ErrorCode::kTimeout, "the launcher did not answer in time");
  }

  void expect(SandboxSpec spec) override {
    state_->reactor.post([state = state_, spec = std::move(spec)] {
      const json::object message{{"op", "expect"}, {"spec", spec_to_json(spec)}};
      if (state->waiting.size() < kMaxWaiting && to_json(message).size() <= kMaxMessageBytes) state->send(message);
    });
  }

  void kill(SandboxId id) override {
    state_->reactor.post([state = state_, id = std::move(id)] {
      if (state->waiting.size() < 2 * kMaxWaiting) state->send({{"op", "kill"}, {"id", id.str()}});
    });
  }

  void limit_cpu(SandboxId id, std::uint32_t cpu_milli) override {
    state_->reactor.post([state = state_, id = std::move(id), milli = std::int64_t{cpu_milli}] {
      if (state->waiting.size() < 2 * kMaxWaiting) {
        state->send({{"op", "limit_cpu"}, {"id", id.str()}, {"milli", milli}});
      }
    });
  }

  Awaitable<Result<std::uint64_t>> peak_memory_bytes(SandboxId id) override {
    auto state = state_;
    OneShot<Result<std::uint64_t>> answer;
    std::function<void()> request = [state, answer, id = std::move(id)]() mutable {
      if (state->ended || state->peaks.size() >= kMaxWaiting) {
        answer.set(fail(ErrorCode::kClosed, "the launcher has ended or is overloaded"));
        return;
      }
      const std::int64_t sequence = ++state->last_sequence;
      state->peaks.emplace(sequence, answer);
      state->send({{"op", "peak"}, {"seq", sequence}, {"id", id.str()}});
    };
    state->reactor.post(std::move(request));
    const SteadyTime deadline = state->reactor.steady_now() + kAnswerTimeout;
    auto result = co_await answer.get_until(deadline);
    if (result) co_return std::move(*result);
    co_return fail(ErrorCode::kTimeout, "the launcher did not answer in time");
  }

  void on_exit(std::function<void(const Exited&)> callback) override {
    state_->reactor.post([state = state_, callback = std::move(callback)] { state->callback = callback; });
  }

  Awaitable<void> shutdown() override {
    auto state = state_;
    std::function<void()> request = [state] {
      state->stopping = true;
      state->send({{"op", "shutdown"}});
    };
    state->reactor.post(std::move(request));
    const SteadyTime deadline = state->reactor.steady_now() + kAnswerTimeout;
    const auto gone = co_await state->gone.get_until(deadline);
    if (!gone) log(Level::kError, "the launcher did not end in time");
    if (gone) state->gone.set(true);
  }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace

std::unique_ptr<Launcher> connect_launcher(Reactor& reactor, LauncherProcess process) {
  const int flags = ::fcntl(process.socket.get(), F_GETFL);
  MAYFLY_ASSERT(flags >= 0 && ::fcntl(process.socket.get(), F_SETFL, flags | O_NONBLOCK) == 0);
  return std::make_unique<SocketLauncher>(std::make_shared<State>(reactor, std::move(process)));
}

}  // namespace mayfly::sandbox
