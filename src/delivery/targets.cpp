#include "delivery/targets.h"

#include <fmt/core.h>

#include "delivery/delivery.h"

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

void Targets::add_shortcut(std::string service, Shortcut shortcut) {
  const bool added = shortcuts_.emplace(std::move(service), std::move(shortcut)).second;
  MAYFLY_ASSERT(added);
}

void Targets::shorten(Request& request) const {
  if (!request.via.empty() || shortcuts_.empty()) return;
  const auto arn = parse_arn(request.target_arn);
  const auto found = arn ? shortcuts_.find(arn->service) : shortcuts_.end();
  if (found == shortcuts_.end()) return;
  // What is refused now may be allowed by the time of a later attempt, and has dead letters of its own.
  if (permission_ && permission_(*arn, request.event)) return;
  found->second(*arn, request);
}

void Targets::add_placement(std::string service, Placement placement) {
  const bool added = placements_.emplace(std::move(service), std::move(placement)).second;
  MAYFLY_ASSERT(added);
}

std::optional<store::Queue::Fanout> Targets::placed(const Request& request) const {
  // A key is remembered by a lane, and a delay and what follows on success are carried out by one.
  const bool lane = !request.via.empty() || !request.dedupe_key.empty() || request.delay.count() != 0 ||
                    !request.policy.on_success_arn.empty();
  // Of an ordered queue some events may still be on the ordinary way: none overtakes them.
  if (lane || placements_.empty() || request.target_arn.ends_with(".fifo")) return std::nullopt;
  const auto arn = parse_arn(request.target_arn);
  const auto found = arn ? placements_.find(arn->service) : placements_.end();
  if (found == placements_.end()) return std::nullopt;
  if (permission_ && permission_(*arn, request.event)) return std::nullopt;
  return found->second(*arn, request.event);
}

bool Targets::supports(std::string_view arn) const {
  const auto parsed = parse_arn(arn);
  return parsed && handlers_.contains(parsed->service);
}

Awaitable<Attempt> Targets::deliver(std::string arn, Event event) const {
  const auto parsed = parse_arn(arn);
  std::string service = parsed ? parsed->service : std::string();
  return deliver_via(std::move(service), std::move(arn), std::move(event));
}

Awaitable<Attempt> Targets::deliver_via(std::string handler, std::string target, Event event) const {
  const auto found = handlers_.find(handler);
  if (found == handlers_.end()) {
    Attempt refused;
    refused.kind = Attempt::Kind::kRefused;
    refused.error_code = "InvalidTarget";
    refused.error_message = fmt::format("nothing here can take an event for {}", target);
    co_return refused;
  }
  auto arn = parse_arn(target);
  if (!arn) {
    arn.emplace();
    arn->resource = std::move(target);
  } else if (permission_ && handler == arn->service) {
    if (auto refused = permission_(*arn, event)) co_return std::move(*refused);
  }
  co_return co_await found->second(std::move(*arn), std::move(event));
}

}  // namespace mayfly::delivery
