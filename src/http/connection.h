// One connection of a server: its input buffer, its deadline, and the exchange (request and response) under way.
//
// Operation.   run() serves one request after the other. The connection is itself the Request and the ResponseWriter
//              that a handler sees, so an exchange allocates nothing but what its message holds.
// Concurrency. Everything runs on the connection's reactor. At most one read is under way: either fill() in the
//              connection's own coroutine, or the watch for the peer's end, whose bytes the next fill() takes over.
// Limits.      One deadline for whatever is being waited for, checked by one timer that is set again only when it
//              fires: an exchange that comes and goes at once costs no timer operation.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "http/request_parser.h"
#include "http/server.h"
#include "http/stream.h"

namespace mayfly::http {

class Connection;
class WebSocketSession;

// What the connections of one server share. Outlives them, as each holds it.
struct ConnectionGroup {
  ConnectionGroup(ServerLimits the_limits, Handler the_handler) : limits(the_limits), handler(std::move(the_handler)) {}
  const ServerLimits limits;
  const Handler handler;
  bool may_move = false;           // connections may go to another reactor; set before the first listener
  std::function<void()> accepted;  // set before the first listener; may be empty
  std::atomic<bool> draining{false};

  mutable std::mutex mutex;
  std::condition_variable changed;  // tasks became fewer
  std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections;
  std::size_t tasks = 0;  // connections' and acceptors' coroutines that have not ended
  Signal all_ended;
};

enum class Arrival : std::uint8_t { kAccepted, kMoved };

// Runs a connection on its reactor, counted by the group. From any thread.
void spawn_connection(const std::shared_ptr<ConnectionGroup>& group, Reactor& reactor, std::unique_ptr<Stream> stream,
                      Arrival arrival);

class Connection final : public Request, public ResponseWriter, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ConnectionGroup> group, Reactor& reactor, std::unique_ptr<Stream> stream, Arrival arrival);
  ~Connection() override = default;

  // Until the connection is closed. The caller keeps this object alive for as long.
  Awaitable<void> run();
  // The same for one connection too many: 503, and the end.
  Awaitable<void> run_refused();
  [[nodiscard]] Reactor& reactor() const { return reactor_; }
  // On the reactor's thread, from outside of run():
  void drain();  // closes an idle connection and a WebSocket; another closes after its response
  void cut();    // closes now, and tells the handler that the peer is gone

  Awaitable<Result<std::string>> read() override;
  Awaitable<Result<std::string>> read_all(std::size_t limit) override;
  const Headers& trailers() const override { return trailers_; }
  std::optional<std::uint64_t> content_length() const override;
  std::string_view peer_address() const override { return stream_->peer_address(); }
  bool is_tls() const override { return stream_->is_tls(); }

  Awaitable<Result<void>> send(Response response) override;
  Awaitable<Result<void>> begin(ResponseHead head) override;
  Awaitable<Result<void>> write(std::string data) override;
  Awaitable<Result<void>> finish() override;
  bool started() const override { return sent_ != Sent::kNothing; }
  Awaitable<Result<std::shared_ptr<WebSocket>>> upgrade(Headers headers, WebSocketLimits limits) override;
  void on_peer_closed(std::function<void()> callback) override;
  bool peer_is_there() override { return !input_ended_ && (!buffered().empty() || stream_->peer_is_there()); }
  void prefer(Reactor& reactor) override;

 private:
  enum class Sent : std::uint8_t { kNothing, kHead, kAll };

  // connection.cpp: the loop.
  Awaitable<bool> serve_one();
  bool move_away();  // true when the connection goes on elsewhere
  Awaitable<bool> read_head();
  void forget_head();
  Awaitable<bool> run_handler();
  Awaitable<bool> discard_body();
  Awaitable<void> refuse(int status);
  Awaitable<void> linger();

  // connection_input.cpp: bytes from the stream.
  [[nodiscard]] std::string_view buffered() const { return {input_.data() + input_begin_, input_end_ - input_begin_}; }
  void consume(std::size_t count) { input_begin_ += count; }
  bool make_room();  // false when the buffer may not grow further
  Awaitable<Result<void>> fill();
  void watch_for_end();
  Awaitable<void> watch();
  void peer_ended();
  void set_deadline(std::chrono::nanoseconds from_now);
  void clear_deadline() { deadline_ = kNoDeadline; }
  void check_deadline();
  void set_timer(SteadyTime when);

  // connection_request.cpp: the body.
  [[nodiscard]] bool body_is_here() const;
  Awaitable<Result<void>> invite_body();
  Awaitable<Result<std::string>> read_length();
  Awaitable<Result<std::string>> read_chunks();
  std::unexpected<Error> body_failed(ErrorCode code, const char* message);

  // connection_response.cpp: heads and writing. connection_upgrade.cpp: WebSockets.
  [[nodiscard]] bool will_close() const;
  Result<void> add_fields(const Headers& headers);
  Result<void> write_head(const ResponseHead& response, std::optional<std::uint64_t> length);
  Awaitable<Result<void>> flush(const std::string& body, const std::string& tail);

  std::shared_ptr<ConnectionGroup> group_;
  Reactor& reactor_;
  std::unique_ptr<Stream> stream_;
  RequestParser parser_;

  std::string input_;  // bytes [input_begin_, input_end_) are received and not used
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  bool reading_ = false;      // the watch's read is under way
  bool input_ended_ = false;  // the peer sends no more
  Signal read_done_;

  SteadyTime deadline_ = kNoDeadline;
  SteadyTime timer_at_ = kNoDeadline;
  std::optional<Reactor::TimerId> timer_;
  bool timed_out_ = false;

  // The exchange under way.
  ParsedHead parsed_;
  Headers trailers_;
  std::uint64_t body_left_ = 0;  // of a body with a length
  bool body_done_ = true;
  std::optional<ErrorCode> body_error_;
  bool continue_sent_ = false;
  Sent sent_ = Sent::kNothing;
  bool chunked_ = false;
  bool bodyless_ = false;                         // the answer to HEAD, 204, 304
  std::optional<std::uint64_t> response_left_{};  // announced and not yet written
  bool close_after_ = false;
  bool idle_ = false;
  bool in_handler_ = false;
  const Arrival arrival_;
  Reactor* preferred_ = nullptr;  // where the last requests were worked on, if elsewhere
  unsigned preferences_ = 0;      // how many of them
  std::function<void()> on_closed_;
  std::string output_;                        // the head, reused
  std::shared_ptr<WebSocketSession> socket_;  // once upgraded; the connection's last exchange
};

}  // namespace mayfly::http
