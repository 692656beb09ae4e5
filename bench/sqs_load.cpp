// A load generator for any SQS endpoint of the JSON protocol: every connection sends batches of ten, receives and
// deletes them (--mode cycle), or only sends (--mode send), signed anew each time. Prints one line of JSON.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "aws/sigv4.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"

namespace {

using namespace mayfly;  // NOLINT(google-build-using-namespace): a program of one file.
using SteadyClock = std::chrono::steady_clock;

struct Options {
  std::uint16_t port = 4566;
  std::string queue_url;
  std::string key = "bench";
  std::string secret = "bench-secret";
  std::string mode = "cycle";
  int connections = 8;
  int seconds = 10;
  int body_bytes = 256;
};

struct Counts {
  std::uint64_t sent = 0;
  std::uint64_t deleted = 0;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::vector<double> milliseconds;
};

class Connection {
 public:
  explicit Connection(const Options& options) : options_(options) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    // SAFETY: sockaddr_in is what AF_INET's sockaddr is.
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Connection() { ::close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The body of a successful answer; empty where it failed.
  std::string call(const std::string& operation, const std::string& body, Counts& counts) {
    const auto begun = SteadyClock::now();
    http::RequestHead head;
    head.method = "POST";
    head.target = "/";
    head.headers.set("Host", fmt::format("127.0.0.1:{}", options_.port));
    head.headers.set("X-Amz-Target", "AmazonSQS." + operation);
    head.headers.set("Content-Type", "application/x-amz-json-1.0");
    aws::sign(head, body,
              {.access_key_id = options_.key,
               .secret_access_key = options_.secret,
               .session_token = "",
               .region = "us-east-1",
               .service = "sqs"},
              clock_.now());
    std::string text = "POST / HTTP/1.1\r\n";
    for (const auto& [name, value] : head.headers) text += name + ": " + value + "\r\n";
    text += fmt::format("Content-Length: {}\r\n\r\n", body.size());
    text += body;
    std::string answer;
    const bool good = connected_ && write_all(text) && read_answer(answer);
    ++counts.requests;
    counts.milliseconds.push_back(std::chrono::duration<double, std::milli>(SteadyClock::now() - begun).count());
    if (!good) ++counts.errors;
    return good ? answer : std::string();
  }

 private:
  bool write_all(std::string_view text) {
    while (!text.empty()) {
      const auto written = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (written <= 0) return connected_ = false;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }
  bool fill() {
    char bytes[65'536];
    const auto got = ::recv(fd_, bytes, sizeof(bytes), 0);
    if (got <= 0) return connected_ = false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
  bool read_answer(std::string& body) {
    std::size_t head_end = 0;
    while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) return false;
    }
    const auto head = to_lower(std::string_view(buffer_).substr(0, head_end));
    const bool good = head.find(" 200 ") < 16;
    std::size_t length = 0;
    if (const auto at = head.find("content-length: "); at != std::string::npos) {
      std::from_chars(head.data() + at + 16, head.data() + head.size(), length);
    }
    buffer_.erase(0, head_end + 4);
    while (buffer_.size() < length) {
      if (!fill()) return false;
    }
    body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return good;
  }

  const Options& options_;
  RealClock clock_;
  int fd_ = -1;
  bool connected_ = false;
  std::string buffer_;
};

std::string send_body(const Options& options, int worker, std::uint64_t round) {
  json::array entries;
  for (int i = 0; i < 10; ++i) {
    auto text = fmt::format("{}-{}-{} ", worker, round, i);
    text.resize(static_cast<std::size_t>(options.body_bytes), 'x');
    entries.push_back(json::object{{"Id", std::to_string(i)}, {"MessageBody", text}});
  }
  return to_json(json::object{{"QueueUrl", options.queue_url}, {"Entries", entries}});
}

void work(const Options& options, int worker, SteadyClock::time_point until, Counts& counts) {
  Connection connection(options);
  const auto receive =
      to_json(json::object{{"QueueUrl", options.queue_url}, {"MaxNumberOfMessages", 10}, {"VisibilityTimeout", 60}});
  for (std::uint64_t round = 0; SteadyClock::now() < until; ++round) {
    if (!connection.call("SendMessageBatch", send_body(options, worker, round), counts).empty()) counts.sent += 10;
    if (options.mode == "send") continue;
    const auto got = parse_json(connection.call("ReceiveMessage", receive, counts));
    const auto* messages = got ? find(*got, "Messages") : nullptr;
    if (messages == nullptr) continue;
    json::array entries;
    for (const auto& message : messages->get_array()) {
      entries.push_back(json::object{{"Id", std::to_string(entries.size())},
                                     {"ReceiptHandle", get_string(message, "ReceiptHandle")}});
    }
    const auto count = entries.size();
    const json::object request{{"QueueUrl", options.queue_url}, {"Entries", std::move(entries)}};
    if (!connection.call("DeleteMessageBatch", to_json(request), counts).empty()) counts.deleted += count;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  Options options;
  const auto number = [&](const char* name, auto& out) {
    if (const auto found = given.find(name); found != given.end()) {
      std::from_chars(found->second.data(), found->second.data() + found->second.size(), out);
    }
  };
  number("--port", options.port);
  number("--connections", options.connections);
  number("--seconds", options.seconds);
  number("--body-bytes", options.body_bytes);
  if (given.contains("--mode")) options.mode = given["--mode"];
  if (given.contains("--key")) options.key = given["--key"];
  if (given.contains("--secret")) options.secret = given["--secret"];
  options.queue_url = given["--queue-url"];
  if (options.queue_url.empty()) {
    fmt::print(stderr,
               "usage: sqs_load --queue-url URL --port N [--mode cycle|send] [--connections N] [--seconds N] "
               "[--body-bytes N] [--key ID] [--secret KEY]\n");
    return 2;
  }
  const auto begun = SteadyClock::now();
  const auto until = begun + std::chrono::seconds(options.seconds);
  std::vector<Counts> counts(static_cast<std::size_t>(options.connections));
  std::vector<std::thread> threads;
  for (int i = 0; i < options.connections; ++i) {
    threads.emplace_back([&, i] { work(options, i, until, counts[static_cast<std::size_t>(i)]); });
  }
  for (auto& thread : threads) thread.join();
  const auto took = std::chrono::duration<double>(SteadyClock::now() - begun).count();
  Counts all;
  for (auto& one : counts) {
    all.sent += one.sent;
    all.deleted += one.deleted;
    all.requests += one.requests;
    all.errors += one.errors;
    all.milliseconds.insert(all.milliseconds.end(), one.milliseconds.begin(), one.milliseconds.end());
  }
  std::ranges::sort(all.milliseconds);
  const auto at = [&](double share) {
    if (all.milliseconds.empty()) return 0.0;
    return all.milliseconds[static_cast<std::size_t>(share * static_cast<double>(all.milliseconds.size() - 1))];
  };
  fmt::print("{}\n", to_json(json::object{{"sent_per_second", static_cast<double>(all.sent) / took},
                                          {"deleted_per_second", static_cast<double>(all.deleted) / took},
                                          {"requests_per_second", static_cast<double>(all.requests) / took},
                                          {"errors", all.errors},
                                          {"p50_ms", at(0.5)},
                                          {"p99_ms", at(0.99)}}));
  return all.errors == 0 ? 0 : 1;
}
