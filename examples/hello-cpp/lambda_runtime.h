// A complete Lambda runtime in one header: raw sockets, no dependencies. It owns the loop "next invocation, handler,
// answer" over one kept-alive connection to the Runtime API, and ends the process where the platform goes away.
//
//   int main() { return lambda::run([](const lambda::Request& r) { return lambda::Answer::ok(r.payload); }); }
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lambda {

struct Request {
  std::string payload;  // JSON
  std::string request_id;
  std::string function_arn;
  std::string trace_id;
  long long deadline_ms = 0;  // since the epoch

  long long remaining_ms() const {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return deadline_ms - std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  }
};

struct Answer {
  bool success = true;
  std::string payload;     // JSON; the message where it is an error
  std::string error_type;  // "InvalidName"

  static Answer ok(std::string json) { return {true, std::move(json), {}}; }
  static Answer error(std::string type, std::string message) { return {false, std::move(message), std::move(type)}; }
};

// A text as a JSON string, quotes included.
inline std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

namespace detail {

class Connection {
 public:
  Connection() {
    const char* api = std::getenv("AWS_LAMBDA_RUNTIME_API");
    if (api == nullptr) throw std::runtime_error("AWS_LAMBDA_RUNTIME_API is not set: this program runs as a function");
    address_ = api;
    const auto colon = address_.rfind(':');
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address_.c_str() + colon + 1)));
    if (inet_pton(AF_INET, address_.substr(0, colon).c_str(), &peer.sin_addr) != 1)
      peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0)
      throw std::runtime_error("cannot connect to the Runtime API");
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends a request and reads its answer: the head stays in head(), the body is returned.
  std::string exchange(std::string_view method, std::string_view path, std::string_view headers,
                       std::string_view body) {
    std::string message;
    message.append(method).append(" /2018-06-01/runtime/").append(path).append(" HTTP/1.1\r\nHost: ").append(address_);
    message.append("\r\n").append(headers).append("Content-Length: ").append(std::to_string(body.size()));
    message.append("\r\n\r\n").append(body);
    for (std::string_view rest = message; !rest.empty();) {
      const ssize_t sent = send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) throw std::runtime_error("cannot send to the Runtime API");
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) fill();
    head_ = buffer_.substr(0, end + 2);
    const std::size_t length = static_cast<std::size_t>(std::strtoull(header("content-length").c_str(), nullptr, 10));
    while (buffer_.size() < end + 4 + length) fill();
    std::string answer = buffer_.substr(end + 4, length);
    buffer_.erase(0, end + 4 + length);
    return answer;
  }

  int status() const { return std::atoi(head_.c_str() + 9); }

  std::string header(std::string_view name) const {
    std::size_t at = head_.find("\r\n");
    while (at != std::string::npos && at + 2 < head_.size()) {
      const std::size_t start = at + 2;
      at = head_.find("\r\n", start);
      if (at == std::string::npos) break;
      if (at - start <= name.size() || head_[start + name.size()] != ':') continue;
      if (strncasecmp(head_.data() + start, name.data(), name.size()) != 0) continue;
      std::size_t value = start + name.size() + 1;
      while (value < at && head_[value] == ' ') ++value;
      return head_.substr(value, at - value);
    }
    return {};
  }

 private:
  void fill() {
    char bytes[65536];
    const ssize_t got = recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) throw std::runtime_error("the Runtime API closed the connection");
    buffer_.append(bytes, static_cast<std::size_t>(got));
  }

  std::string address_;
  int fd_ = -1;
  std::string buffer_;
  std::string head_;
};

}  // namespace detail

// Answers invocations until the platform ends the process. An exception that leaves the handler is that invocation's
// error.
template <typename Handler>
int run(Handler handler) try {
  // Asks a platform that knows it (Mayfly) for the next event in place of the answer's receipt: one message each way
  // for an invocation. Any other ignores the header and sends the receipt.
  const std::string then_next = "Mayfly-Then-Next: 1\r\n";
  const std::string json = "Content-Type: application/json\r\n" + then_next;
  detail::Connection api;
  std::string received;
  bool have_event = false;
  for (;;) {
    if (!have_event) received = api.exchange("GET", "invocation/next", "", "");
    if (api.status() != 200) throw std::runtime_error("the Runtime API refused invocation/next");
    Request request;
    request.payload = std::move(received);
    request.request_id = api.header("Lambda-Runtime-Aws-Request-Id");
    request.function_arn = api.header("Lambda-Runtime-Invoked-Function-Arn");
    request.trace_id = api.header("Lambda-Runtime-Trace-Id");
    request.deadline_ms = std::atoll(api.header("Lambda-Runtime-Deadline-Ms").c_str());
    Answer answer;
    try {
      answer = handler(request);
    } catch (const std::exception& e) {
      answer = Answer::error("std::exception", e.what());
    }
    std::fflush(nullptr);  // what was printed belongs to this invocation
    const std::string path = "invocation/" + request.request_id;
    if (answer.success) {
      received = api.exchange("POST", path + "/response", json, answer.payload);
    } else {
      const std::string body = "{\"errorMessage\":" + quote(answer.payload) +
                               ",\"errorType\":" + quote(answer.error_type) + ",\"stackTrace\":[]}";
      const std::string type = "Lambda-Runtime-Function-Error-Type: " + answer.error_type + "\r\n";
      received = api.exchange("POST", path + "/error", json + type, body);
    }
    have_event = !api.header("Lambda-Runtime-Aws-Request-Id").empty();
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}

}  // namespace lambda
