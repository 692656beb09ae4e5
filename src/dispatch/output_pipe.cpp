// The one file of this layer that knows Asio: the kernel's readiness of a pipe is not part of base/async.h.
#include "dispatch/output_pipe.h"

#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <string_view>

namespace mayfly::dispatch {
namespace {
constexpr std::size_t kLineLimit = 256UL * 1024;
constexpr std::size_t kPiece = 64UL * 1024;
constexpr std::size_t kDrainLimit = 1024UL * 1024;
}  // namespace

struct OutputPipe::Impl : std::enable_shared_from_this<OutputPipe::Impl> {
  Impl(Reactor& reactor, UniqueFd fd, std::function<void(std::string)> callback)
      : descriptor(reactor.io(), fd.release()), on_line(std::move(callback)) {
    boost::system::error_code ignored;
    descriptor.non_blocking(true, ignored);
  }

  void wait() {
    descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            if (error || self->closed) return;
                            if (self->read_once() != Read::kEnd && !self->closed) self->wait();
                          });
  }

  enum class Read { kSome, kNothing, kEnd };
  Read read_once() {
    if (closed) return Read::kEnd;
    // Shared by all pipes of a reactor's thread: an idle instance then costs no buffer.
    thread_local std::array<char, kPiece> buffer;
    for (;;) {
      const ssize_t got = ::read(descriptor.native_handle(), buffer.data(), buffer.size());
      if (got > 0) {
        take(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
        return Read::kSome;
      }
      if (got == 0) return Read::kEnd;
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Read::kNothing : Read::kEnd;
    }
  }

  void take(std::string_view text) {
    while (!text.empty()) {
      const auto end = text.find('\n');
      const std::string_view part = text.substr(0, end);
      const std::size_t room = kLineLimit - partial.size();
      if (part.size() > room) {
        partial.append(part.substr(0, room));
        emit();
        text.remove_prefix(room);
        continue;
      }
      partial.append(part);
      if (end == std::string_view::npos) return;
      emit();
      text.remove_prefix(end + 1);
    }
  }

  void emit() {
    std::string line;
    line.swap(partial);
    on_line(std::move(line));
  }

  boost::asio::posix::stream_descriptor descriptor;
  std::function<void(std::string)> on_line;
  std::string partial;
  bool closed = false;
};

OutputPipe::OutputPipe(Reactor& reactor, UniqueFd fd, std::function<void(std::string line)> on_line)
    : impl_(std::make_shared<Impl>(reactor, std::move(fd), std::move(on_line))) {
  impl_->wait();
}

OutputPipe::~OutputPipe() { close(); }

void OutputPipe::drain() {
  std::size_t pieces = kDrainLimit / kPiece;
  while (pieces-- > 0 && impl_->read_once() == Impl::Read::kSome) {
  }
}

void OutputPipe::flush_partial() {
  if (!impl_->partial.empty() && !impl_->closed) impl_->emit();
}

void OutputPipe::close() {
  if (impl_->closed) return;
  impl_->closed = true;
  impl_->on_line = nullptr;
  boost::system::error_code ignored;
  impl_->descriptor.close(ignored);
}

}  // namespace mayfly::dispatch
