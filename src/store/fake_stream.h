// For tests: the Stream port in memory, on a clock that tests move.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "store/stream.h"

namespace mayfly::store {

class FakeStream final : public Stream {
 public:
  explicit FakeStream(Clock& clock) : clock_(clock) {}
  std::map<std::string, std::pair<std::uint64_t, std::vector<StreamRecord>>> streams;  // last sequence, records

  Awaitable<Result<std::uint64_t>> append(StreamName stream, std::vector<std::string> records,
                                          std::optional<std::uint64_t>) override {
    auto& [last, held] = streams[stream.str()];
    for (auto& data : records) held.push_back({.sequence = ++last, .at = clock_.now(), .data = std::move(data)});
    co_return last;
  }
  Awaitable<Result<std::vector<StreamRecord>>> read(StreamName stream, std::uint64_t after, StreamRead bound) override {
    if (!streams.contains(stream.str())) co_return fail(ErrorCode::kNotFound, "stream");
    std::vector<StreamRecord> out;
    for (const auto& record : streams[stream.str()].second) {
      if (record.sequence > after && out.size() < bound.max_records) out.push_back(record);
    }
    co_return out;
  }
  Awaitable<Result<std::uint64_t>> position_before(StreamName stream, SystemTime time) override {
    if (!streams.contains(stream.str())) co_return fail(ErrorCode::kNotFound, "stream");
    std::uint64_t position = 0;
    for (const auto& record : streams[stream.str()].second) {
      if (record.at < time) position = record.sequence;
    }
    co_return position;
  }
  Awaitable<Result<void>> trim(StreamName, std::uint64_t) override { co_return Result<void>(); }
  Awaitable<Result<void>> trim_to(StreamName stream, SystemTime time, std::uint64_t) override {
    std::erase_if(streams[stream.str()].second, [&](const auto& record) { return record.at < time; });
    co_return Result<void>();
  }
  Awaitable<Result<StreamInfo>> info(StreamName stream) override {
    if (!streams.contains(stream.str())) co_return fail(ErrorCode::kNotFound, "stream");
    const auto& [last, held] = streams[stream.str()];
    StreamInfo info;
    info.last = last;
    info.first = last + 1 - held.size();
    for (const auto& record : held) info.bytes += record.data.size();
    if (!held.empty()) info.oldest_at = held.front().at;
    co_return info;
  }
  Awaitable<Result<std::vector<StreamName>>> list(std::string prefix, std::string after, std::size_t) override {
    std::vector<StreamName> out;
    for (const auto& [name, stream] : streams) {
      if (name.starts_with(prefix) && name > after) out.emplace_back(name);
    }
    co_return out;
  }
  Awaitable<Result<void>> remove(StreamName stream) override {
    streams.erase(stream.str());
    co_return Result<void>();
  }

 private:
  Clock& clock_;
};

}  // namespace mayfly::store
