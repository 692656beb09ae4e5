// `mayfly audit`: who did what, and who was refused.
#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "cli/commands.h"

namespace mayfly::cli {
namespace {

// "2026-01-31T23:59:59Z  AssumedRole worker/f  lambda CreateFunction  AccessDeniedException"
std::string audit_line(const Output& out, const json::value& record) {
  const auto* who = find(record, "userIdentity");
  const json::value nobody = json::object();
  const auto arn = get_string(who == nullptr ? nobody : *who, "arn");
  const auto source = get_string(record, "eventSource");
  const std::string error(get_string(record, "errorCode"));
  return fmt::format("{}  {:<28} {:<16} {:<28} {:<16} {}", get_string(record, "eventTime"),
                     arn.substr(arn.find_last_of(':') + 1), source.substr(0, source.find('.')),
                     get_string(record, "eventName"), get_string(record, "sourceIPAddress"),
                     error.empty() ? std::string() : out.red(error));
}

std::string audit_query(const AuditOptions& what) {
  const auto escaped = [](const std::string& text) { return percent_encode(text, Slash::kEncode); };
  return fmt::format("event={}&source={}&user={}&resource={}&from={}&errors={}&denied={}", escaped(what.event),
                     escaped(what.service), escaped(what.user), escaped(what.resource), escaped(what.from),
                     what.errors ? 1 : 0, what.denied ? 1 : 0);
}

int follow_audit(const Output& out, const Connection& connection, const AuditOptions& what) {
  Call call;
  call.target = fmt::format("/_mayfly/audit?follow=1&{}", audit_query(what));
  call.service = "mayfly";
  std::string rest;
  const auto streamed = stream(connection, call, [&](std::string_view data) {
    rest += data;
    for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
      const std::string line = rest.substr(0, end);
      rest.erase(0, end + 1);
      const auto record = parse_json(line);
      if (!record) continue;
      out.line(out.json ? line : audit_line(out, *record));
    }
    return true;
  });
  return streamed ? 0 : out.failure(streamed.error());
}

}  // namespace

int audit(const Output& out, const ConnectionOptions& options, const AuditOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  if (what.follow) return follow_audit(out, *connection, what);
  json::array all;
  std::int64_t before = 0;
  do {
    const auto wanted = what.limit - static_cast<int>(all.size());
    const auto page = send_json(
        *connection, {.target = fmt::format("/_mayfly/audit?limit={}&before={}&{}", wanted, before, audit_query(what)),
                      .service = "mayfly"});
    if (!page) return out.failure(page.error());
    if (const auto* events = find(*page, "Events"); events != nullptr && events->is_array()) {
      all.insert(all.end(), events->get_array().begin(), events->get_array().end());
    }
    before = get_int(*page, "Next");
  } while (before != 0 && static_cast<int>(all.size()) < what.limit);
  std::ranges::reverse(all);  // the newest last, as logs are read
  if (out.json) {
    out.value(all);
    return 0;
  }
  for (const auto& record : all) out.line(audit_line(out, record));
  if (all.empty()) out.note("nothing was recorded that fits");
  return 0;
}

}  // namespace mayfly::cli
