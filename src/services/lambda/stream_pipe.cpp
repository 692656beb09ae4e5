#include "services/lambda/stream_pipe.h"

namespace mayfly::lambda {

std::shared_ptr<dispatch::ResponseSink> StreamPipe::sink(std::shared_ptr<StreamPipe> pipe) {
  auto out = std::make_shared<dispatch::ResponseSink>();
  out->on_start = [pipe](std::string content_type) { pipe->start(std::move(content_type)); };
  out->on_data = [pipe](std::string data) { return push(pipe, std::move(data)); };
  return out;
}

void StreamPipe::start(std::string content_type) {
  const std::lock_guard lock(mutex_);
  content_type_ = std::move(content_type);
}

Awaitable<bool> StreamPipe::push(std::shared_ptr<StreamPipe> pipe, std::string data) {
  {
    const std::lock_guard lock(pipe->mutex_);
    if (pipe->closed_) co_return false;
    pipe->held_bytes_ += data.size();
    pipe->parts_.push_back(std::move(data));
  }
  pipe->readable_.notify();
  for (;;) {
    {
      const std::lock_guard lock(pipe->mutex_);
      if (pipe->closed_) co_return false;
      if (pipe->held_bytes_ <= kHeldBytes) co_return true;
    }
    // No deadline of its own: the function's timeout ends the invocation, the writer's the reading.
    co_await pipe->writable_.wait_until(kNoDeadline);
  }
}

void StreamPipe::finish(Result<dispatch::Outcome> outcome) {
  {
    const std::lock_guard lock(mutex_);
    outcome_.emplace(std::move(outcome));
  }
  readable_.notify();
}

void StreamPipe::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    parts_.clear();
    held_bytes_ = 0;
  }
  writable_.notify();
}

Awaitable<std::optional<std::string>> StreamPipe::next() {
  for (;;) {
    std::optional<std::string> part;
    {
      const std::lock_guard lock(mutex_);
      if (!parts_.empty()) {
        part = std::move(parts_.front());
        parts_.pop_front();
        held_bytes_ -= part->size();
      } else if (outcome_) {
        co_return std::nullopt;
      }
    }
    if (part) {
      writable_.notify();
      co_return part;
    }
    co_await readable_.wait_until(kNoDeadline);
  }
}

std::string StreamPipe::content_type() const {
  const std::lock_guard lock(mutex_);
  return content_type_;
}

}  // namespace mayfly::lambda
