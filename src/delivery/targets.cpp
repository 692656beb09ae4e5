#include "delivery/targets.h"

#include <fmt/core.h>

namespace mayfly::delivery {

std::optional<Arn> parse_arn(std::string_view text) {
  constexpr std::size_t kHeadParts = 5;  // arn, partition, service, region, account
  std::vector<std::string> parts;
  while (parts.size() < kHeadParts) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    parts.emplace_back(text.substr(0, colon));
    text.remove_prefix(colon + 1);
  }
  if (parts[0] != "arn" || parts[1].empty() || parts[2].empty() || text.empty()) return std::nullopt;
  Arn arn;
  arn.partition = std::move(parts[1]);
  arn.service = std::move(parts[2]);
  arn.region = std::move(parts[3]);
  arn.account = std::move(parts[4]);
  arn.resource = std::string(text);
  return arn;
}

void Targets::add(std::string service, Handler handler) {
  const bool added = handlers_.emplace(std::move(service), std::move(handler)).second;
  MAYFLY_ASSERT(added);
}

bool Targets::supports(std::string_view arn) const {
  const auto parsed = parse_arn(arn);
  return parsed && handlers_.contains(parsed->service);
}

Awaitable<Attempt> Targets::deliver(std::string arn, Event event) const {
  auto parsed = parse_arn(arn);
  const auto handler = parsed ? handlers_.find(parsed->service) : handlers_.end();
  if (handler == handlers_.end()) {
    Attempt refused;
    refused.kind = Attempt::Kind::kRefused;
    refused.error_code = "InvalidTarget";
    refused.error_message = fmt::format("nothing here can take an event for {}", arn);
    co_return refused;
  }
  co_return co_await handler->second(std::move(*parsed), std::move(event));
}

}  // namespace mayfly::delivery
