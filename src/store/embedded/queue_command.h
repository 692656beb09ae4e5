// What callers hand to the queue's engine. A command decides in the core, reads what its answer needs while the batch
// is open, and answers after the sync. It may have to decide twice: then what it did the first time was undone.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>

#include "base/async.h"
#include "base/error.h"
#include "store/embedded/queue_core.h"

namespace mayfly::store {

class QueueReader;  // contents, from memory or disk

class QueueCommand {
 public:
  enum class Kind : std::uint8_t {
    kConfigure,  // first in a batch
    kPublish,    // needs room on the disk
    kOther,
  };
  QueueCommand(Kind kind, std::size_t bytes) : kind_(kind), bytes_(bytes) {}
  QueueCommand(const QueueCommand&) = delete;
  QueueCommand& operator=(const QueueCommand&) = delete;
  virtual ~QueueCommand() = default;

  virtual void decide(QueueCore& core) = 0;
  virtual Result<void> read(QueueReader&) { return {}; }
  virtual void answer() = 0;
  virtual void refuse(const Error& error) = 0;

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  Kind kind_;
  std::size_t bytes_;
};

// A command that answers by itself.
template <typename T>
class QueueCall final : public QueueCommand {
 public:
  using Decide = std::function<Result<T>(QueueCore&)>;
  using Read = std::function<Result<void>(Result<T>&, QueueReader&)>;  // of a result that is no error

  QueueCall(Kind kind, std::size_t bytes, Decide decide, Read read)
      : QueueCommand(kind, bytes), decide_(std::move(decide)), read_(std::move(read)) {}

  void decide(QueueCore& core) override { result_.emplace(decide_(core)); }
  Result<void> read(QueueReader& reader) override {
    if (!read_ || !*result_) return {};
    return read_(*result_, reader);
  }
  void answer() override { slot_.set(std::move(*result_)); }
  void refuse(const Error& error) override { slot_.set(std::unexpected(error)); }
  [[nodiscard]] OneShot<Result<T>> slot() const { return slot_; }

 private:
  Decide decide_;
  Read read_;
  std::optional<Result<T>> result_;
  OneShot<Result<T>> slot_;
};

}  // namespace mayfly::store
