// The floor of a warm invocation: the least that passes a request on to a function and its answer back, over the same
// sockets. client -TCP-> relay -TCP, in the function's network namespace-> function, HTTP on both ways as the Runtime
// API has it: the relay answers a pending "next" with the event, and the function posts its answer. One thread each,
// one connection each, no parsing but of lengths, no limits: not a server, a measure.
//
// relay PORT: listens on 127.0.0.1:PORT, one client at a time, with calls that block.
// relay PORT FUNCTIONS: any number of clients over that many functions, on a thread for each processor.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

void require(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::_Exit(1);
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int listen_on(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const sockaddr_in address = loopback(port);
  require(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && listen(fd, 64) == 0, "listen");
  return fd;
}

void no_delay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

// The first message with Content-Length of `kept`, taken out of it; false where it is not whole.
bool take_message(std::string& kept, std::string& body) {
  const auto end = kept.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  std::size_t length = 0;
  const auto at = kept.find("Content-Length: ");
  if (at != std::string::npos && at < end) length = std::strtoul(kept.c_str() + at + 16, nullptr, 10);
  if (kept.size() < end + 4 + length) return false;
  body.assign(kept, end + 4, length);
  kept.erase(0, end + 4 + length);
  return true;
}

bool receive(int fd, std::string& kept) {
  char bytes[16384];
  const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
  if (got <= 0) return false;
  kept.append(bytes, static_cast<std::size_t>(got));
  return true;
}

// One message; its body. Empty `kept` means that nothing of the next has come.
bool read_message(int fd, std::string& kept, std::string& body) {
  while (!take_message(kept, body)) {
    if (!receive(fd, kept)) return false;
  }
  return true;
}

void send_all(int fd, const std::string& text) {
  require(send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()), "send");
}

std::string message(const char* first, const std::string& body) {
  return std::string(first) + "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

[[noreturn]] void function() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = loopback(9001);
  require(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "connect");
  no_delay(fd);
  std::string kept;
  std::string body;
  for (;;) {
    send_all(fd, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n");
    if (!read_message(fd, kept, body)) std::_Exit(0);
    send_all(fd, message("POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\nHost: x", body));
    if (!read_message(fd, kept, body)) std::_Exit(0);
  }
}

void serve(int client, int runtime, std::string& runtime_kept) {
  no_delay(client);
  std::string kept;
  std::string body;
  std::string answer;
  std::string next;
  while (read_message(client, kept, body)) {
    if (!read_message(runtime, runtime_kept, next)) return;  // the pending next
    send_all(runtime, message("HTTP/1.1 200 OK", body));
    if (!read_message(runtime, runtime_kept, answer)) return;
    send_all(client, message("HTTP/1.1 200 OK", answer));
    send_all(runtime, message("HTTP/1.1 202 Accepted", "{\"status\":\"OK\"}\n"));
  }
}

struct Peer {
  int fd = -1;
  std::string kept{};
  Peer* client = nullptr;  // of a function: whose request it works on; null before its "next"
  bool is_function = false;
  bool idle = false;
};

// Clients and functions of one thread.
class Worker {
 public:
  explicit Worker(const std::vector<int>& functions) {
    for (const int fd : functions) add(fd, true);
  }
  void add(int fd, bool is_function) {
    // Never freed: a connection lives as long as the measurement.
    auto* peer = new Peer{.fd = fd, .is_function = is_function};
    epoll_event event{.events = EPOLLIN, .data = {.ptr = peer}};
    require(epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
  }
  [[noreturn]] void run() {
    for (;;) {
      epoll_event events[64];
      const int count = epoll_wait(poll_, events, 64, -1);
      for (int i = 0; i < count; ++i) serve(*static_cast<Peer*>(events[i].data.ptr));
    }
  }

 private:
  void serve(Peer& peer) {
    if (!receive(peer.fd, peer.kept)) {
      epoll_ctl(poll_, EPOLL_CTL_DEL, peer.fd, nullptr);
      return;
    }
    std::string body;
    while (take_message(peer.kept, body)) {
      if (!peer.is_function) {
        waiting_.emplace_back(&peer, std::move(body));
      } else if (Peer* client = std::exchange(peer.client, nullptr)) {
        send_all(client->fd, message("HTTP/1.1 200 OK", body));
        send_all(peer.fd, message("HTTP/1.1 202 Accepted", "{\"status\":\"OK\"}\n"));
      } else {
        idle_.push_back(&peer);
      }
    }
    while (!idle_.empty() && !waiting_.empty()) {
      Peer* function = idle_.back();
      idle_.pop_back();
      function->client = waiting_.front().first;
      send_all(function->fd, message("HTTP/1.1 200 OK", waiting_.front().second));
      waiting_.pop_front();
    }
  }

  int poll_ = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Peer*> idle_;  // the one used last first
  std::deque<std::pair<Peer*, std::string>> waiting_;
};

[[noreturn]] void serve_many(int front, int inner, int functions) {
  const unsigned count = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::vector<int>> runtimes(count);
  for (int i = 0; i < functions; ++i) {
    const int fd = accept(inner, nullptr, nullptr);
    no_delay(fd);
    runtimes[static_cast<unsigned>(i) % count].push_back(fd);
  }
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::thread> threads;
  for (const auto& own : runtimes) {
    workers.push_back(std::make_unique<Worker>(own));
    threads.emplace_back([worker = workers.back().get()] { worker->run(); });
  }
  std::puts("ready");
  std::fflush(stdout);
  for (unsigned next = 0;; ++next) {
    const int client = accept(front, nullptr, nullptr);
    require(client >= 0, "accept");
    no_delay(client);
    workers[next % count]->add(client, false);
  }
}

}  // namespace

int main(int count, char** arguments) {
  require(count == 2 || count == 3, "relay PORT [FUNCTIONS]");
  const int functions = count == 3 ? std::atoi(arguments[2]) : 1;
  const int front = listen_on(std::atoi(arguments[1]));
  const int home = open("/proc/self/ns/net", 0);
  // Without the right to make a namespace the relay measures without one.
  if (unshare(CLONE_NEWNET) == 0) {
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    require(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "loopback up");
  }
  const int inner = listen_on(9001);
  for (int i = 0; i < functions; ++i) {
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      function();
    }
  }
  require(home < 0 || setns(home, CLONE_NEWNET) == 0, "back to the first namespace");
  if (count == 3) serve_many(front, inner, functions);
  const int runtime = accept(inner, nullptr, nullptr);
  no_delay(runtime);
  std::puts("ready");
  std::fflush(stdout);
  std::string runtime_kept;
  for (;;) {
    const int client = accept(front, nullptr, nullptr);
    require(client >= 0, "accept");
    serve(client, runtime, runtime_kept);
    close(client);
  }
}
