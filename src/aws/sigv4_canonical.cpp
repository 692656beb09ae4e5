#include "aws/sigv4_canonical.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/crypto.h"
#include "base/encoding.h"
#include "http/query.h"

namespace mayfly::aws::sigv4 {

namespace {

// Resolves "." and ".." and drops empty segments; a trailing slash stays.
std::string normalized(std::string_view path) {
  std::vector<std::string_view> kept;
  const bool trailing = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
  while (!path.empty()) {
    const auto end = path.find('/');
    const auto segment = path.substr(0, end);
    path = end == std::string_view::npos ? std::string_view() : path.substr(end + 1);
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      kept.push_back(segment);
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  std::string out;
  for (const auto segment : kept) out.append("/").append(segment);
  if (out.empty() || trailing) out += '/';
  return out;
}

std::string reencode(std::string_view text) {
  const auto decoded = percent_decode(text);
  return percent_encode(decoded ? std::string_view(*decoded) : text, Slash::kEncode);
}

// Inner runs of spaces count as one.
void append_squeezed(std::string& out, std::string_view value) {
  bool space = false;
  for (const char c : trim(value)) {
    const bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (is_space && space) continue;
    out += is_space ? ' ' : c;
    space = is_space;
  }
}

}  // namespace

std::string canonical_path(std::string_view path, PathRule rule) {
  if (path.empty()) return "/";
  if (rule == PathRule::kNormalized) return percent_encode(normalized(path), Slash::kKeep);
  const auto decoded = percent_decode(path);
  return percent_encode(decoded ? std::string_view(*decoded) : path, Slash::kKeep);
}

std::string canonical_query(std::string_view query, std::string_view without) {
  std::vector<std::pair<std::string, std::string>> parts;
  while (const auto part = http::next_part(query)) {
    auto name = reencode(part->name);
    if (!without.empty() && name == without) continue;
    parts.emplace_back(std::move(name), reencode(part->value));
  }
  std::ranges::sort(parts);
  std::string out;
  for (const auto& [name, value] : parts) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

std::string canonical_request(const http::RequestHead& head, const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash, PathRule rule, std::string_view query_without) {
  std::string out = head.method;
  out.append("\n").append(canonical_path(head.path(), rule));
  out.append("\n").append(canonical_query(head.query(), query_without)).append("\n");
  std::string names;
  for (const auto& name : signed_headers) {
    out.append(name).append(":");
    bool first = true;
    for (const auto& [key, value] : head.headers) {
      if (!iequals(key, name)) continue;
      if (!first) out += ',';
      first = false;
      append_squeezed(out, value);
    }
    out += '\n';
    if (!names.empty()) names += ';';
    names += name;
  }
  out.append("\n").append(names).append("\n").append(payload_hash);
  return out;
}

std::string Scope::text() const {
  std::string out = date;
  out.append("/").append(region).append("/").append(service).append("/").append(kTerminator);
  return out;
}

std::string signing_key(std::string_view secret_access_key, const Scope& scope) {
  // The same for a client's whole day, and four of the five digests of a signature. Kept by thread, so that no lock is
  // taken; forgotten as a whole at its bound: 4 MB of some 250 bytes for each client and service. The region is the
  // client's word, so that a long one is not kept.
  constexpr std::size_t kKept = 16'384;
  constexpr std::size_t kLongestKept = 200;
  thread_local std::unordered_map<std::string, std::string> kept;
  std::string name(secret_access_key);
  for (const std::string* part : {&scope.date, &scope.region, &scope.service}) name.append("\n").append(*part);
  if (const auto found = kept.find(name); found != kept.end()) return found->second;
  auto key = hmac_sha256("AWS4" + std::string(secret_access_key), scope.date);
  key = hmac_sha256(key, scope.region);
  key = hmac_sha256(key, scope.service);
  key = hmac_sha256(key, kTerminator);
  if (name.size() > kLongestKept) return key;
  if (kept.size() >= kKept) kept.clear();
  kept.emplace(std::move(name), key);
  return key;
}

std::string string_to_sign(std::string_view date_time, const Scope& scope, std::string_view canonical) {
  std::string out(kAlgorithm);
  out.append("\n").append(date_time).append("\n").append(scope.text()).append("\n");
  return out + hex_encode(sha256(canonical));
}

std::string hex_signature(std::string_view key, std::string_view text) { return hex_encode(hmac_sha256(key, text)); }

std::unexpected<ApiError> refuse(const ErrorModel& model, std::string message) {
  ApiError error;
  error.model = &model;
  error.message = std::move(message);
  return std::unexpected(std::move(error));
}

}  // namespace mayfly::aws::sigv4
