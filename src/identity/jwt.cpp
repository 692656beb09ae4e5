#include "identity/jwt.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/encoding.h"
#include "base/time_format.h"

namespace mayfly::identity {
namespace {

constexpr std::size_t kMostToken = 16UL * 1024;
constexpr std::array<std::string_view, 6> kAlgorithms = {"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"};

// base64url without padding (RFC 7515, appendix C). The last character's unused bits must be zero: one signature has
// one text.
std::optional<std::string> base64url_decode(std::string_view text) {
  std::string plain(text);
  if (plain.find_first_of("+/=") != std::string::npos) return std::nullopt;
  std::ranges::replace(plain, '-', '+');
  std::ranges::replace(plain, '_', '/');
  plain.append((4 - plain.size() % 4) % 4, '=');
  auto decoded = base64_decode(plain);
  if (!decoded || base64_encode(*decoded) != plain) return std::nullopt;
  return decoded;
}

Result<json::object> read_part(std::string_view text, std::string_view what) {
  const auto bytes = base64url_decode(text);
  if (!bytes) return fail(ErrorCode::kInvalid, fmt::format("the token's {} is not base64url", what));
  auto document = parse_json(*bytes);
  if (!document || !document->is_object())
    return fail(ErrorCode::kInvalid, fmt::format("the token's {} is no JSON object", what));
  return std::move(document->get_object());
}

std::optional<double> number_of(const json::object& claims, std::string_view name) {
  const auto* value = claims.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return static_cast<double>(value->get_int64());
  if (value->is_uint64()) return static_cast<double>(value->get_uint64());
  if (value->is_double()) return value->get_double();
  return std::nullopt;
}

bool is_listed(std::span<const std::string> wanted, std::string_view text) {
  return std::ranges::find(wanted, text) != wanted.end();
}

bool audience_matches(const json::object& claims, std::span<const std::string> wanted) {
  if (const auto* aud = claims.if_contains("aud")) {
    if (aud->is_string()) return is_listed(wanted, aud->get_string());
    if (!aud->is_array()) return false;
    return std::ranges::any_of(aud->get_array(),
                               [&](const auto& one) { return one.is_string() && is_listed(wanted, one.get_string()); });
  }
  const auto* client = claims.if_contains("client_id");
  return client != nullptr && client->is_string() && is_listed(wanted, client->get_string());
}

}  // namespace

Result<Jwt> parse_jwt(std::string_view token) {
  if (token.size() > kMostToken) return fail(ErrorCode::kInvalid, "the token is too long");
  const auto first = token.find('.');
  const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return fail(ErrorCode::kInvalid, "the token has not three parts");
  auto header = read_part(token.substr(0, first), "header");
  if (!header) return std::unexpected(std::move(header.error()));
  Jwt out;
  out.algorithm = get_string(*header, "alg");
  if (std::ranges::find(kAlgorithms, out.algorithm) == kAlgorithms.end())
    return fail(ErrorCode::kUnsupported, fmt::format("the algorithm \"{}\" is not taken", out.algorithm));
  // A header that must be understood to judge the token, and is not.
  if (header->contains("crit")) return fail(ErrorCode::kUnsupported, "the token has critical headers");
  out.key_id = get_string(*header, "kid");
  if (out.key_id.empty()) return fail(ErrorCode::kInvalid, "the token names no key");
  auto claims = read_part(token.substr(first + 1, second - first - 1), "payload");
  if (!claims) return std::unexpected(std::move(claims.error()));
  out.claims = std::move(*claims);
  auto signature = base64url_decode(token.substr(second + 1));
  if (!signature || signature->empty()) return fail(ErrorCode::kInvalid, "the token has no signature");
  out.signature = std::move(*signature);
  out.signed_part = token.substr(0, second);
  return out;
}

Result<void> check_claims(const Jwt& token, const JwtRules& rules) {
  const auto refuse = [](std::string why) { return fail(ErrorCode::kUnauthorized, std::move(why)); };
  const auto& claims = token.claims;
  if (get_string(claims, "iss") != rules.issuer || rules.issuer.empty()) return refuse("the issuer is another one");
  if (!audience_matches(claims, rules.audience)) return refuse("the audience is another one");
  const double now = epoch_seconds(rules.now);
  const auto expires = number_of(claims, "exp");
  if (!expires) return refuse("the token says not when it expires");
  if (!(now < *expires)) return fail(ErrorCode::kTimeout, "the token has expired");
  for (const auto* name : {"nbf", "iat"}) {
    if (!claims.contains(name)) continue;
    const auto time = number_of(claims, name);
    if (!time || !(*time <= now)) return refuse(fmt::format("the token's {} is not past", name));
  }
  return {};
}

std::vector<std::string> scopes_of(const json::object& claims) {
  std::vector<std::string> out;
  for (const auto* name : {"scope", "scp"}) {
    const auto* value = claims.if_contains(name);
    if (value == nullptr) continue;
    if (value->is_array()) {
      for (const auto& one : value->get_array()) {
        if (one.is_string()) out.emplace_back(one.get_string());
      }
    } else if (value->is_string()) {
      std::string_view rest = value->get_string();
      while (!rest.empty()) {
        const auto end = std::min(rest.find(' '), rest.size());
        if (end > 0) out.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
    if (!out.empty()) return out;
  }
  return out;
}

std::string claim_text(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (!value.is_array()) return to_json(value);
  std::string out = "[";
  for (const auto& one : value.get_array()) {
    if (out.size() > 1) out += ' ';
    out += claim_text(one);
  }
  return out + "]";
}

}  // namespace mayfly::identity
