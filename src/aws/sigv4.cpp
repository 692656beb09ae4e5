#include "aws/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "aws/sigv4_canonical.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "base/time_format.h"
#include "http/query.h"

namespace mayfly::aws {

using sigv4::PathRule;
using sigv4::refuse;
using sigv4::Scope;

namespace {

constexpr std::chrono::seconds kLongestPresigned = std::chrono::hours(24 * 7);

std::unexpected<ApiError> incomplete(std::string message) {
  return refuse(common_errors::IncompleteSignatureException, std::move(message));
}

// What a request claims about its signature, from the header or from the query string.
struct Claim {
  std::string access_key_id;
  Scope scope;
  std::vector<std::string> signed_headers;
  std::string signature;
  std::string date_time;  // as signed: 20260131T235959Z
  SystemTime time;
  std::string token;
  std::optional<std::chrono::seconds> expires;  // presigned only
};

ApiResult<void> read_credential(std::string_view credential, Claim& claim) {
  std::vector<std::string_view> parts;
  // From the end: a key id may hold slashes, the scope's parts may not.
  for (int i = 0; i < 4; ++i) {
    const auto slash = credential.rfind('/');
    if (slash == std::string_view::npos) {
      return incomplete(
          "Credential must have exactly 5 slash-delimited elements, e.g. "
          "keyid/date/region/service/term");
    }
    parts.push_back(credential.substr(slash + 1));
    credential = credential.substr(0, slash);
  }
  if (parts[0] != sigv4::kTerminator) {
    return refuse(
        common_errors::InvalidSignatureException,
        fmt::format("Credential should be scoped with a valid terminator: 'aws4_request', not '{}'.", parts[0]));
  }
  claim.access_key_id = credential;
  claim.scope = Scope{.date = std::string(parts[3]), .region = std::string(parts[2]), .service = std::string(parts[1])};
  return {};
}

void read_signed_headers(std::string_view list, Claim& claim) {
  while (!list.empty()) {
    const auto end = list.find(';');
    if (const auto name = list.substr(0, end); !name.empty()) claim.signed_headers.push_back(to_lower(name));
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
  }
}

ApiResult<void> read_time(const http::RequestHead& head, std::string_view amz_date, Claim& claim) {
  if (!amz_date.empty()) {
    const auto time = parse_iso8601(amz_date);
    if (!time || amz_date.size() != 16) {
      return incomplete("Date must be in ISO-8601 'basic format'. Got '" + std::string(amz_date) + "'.");
    }
    claim.time = *time;
    claim.date_time = amz_date;
    return {};
  }
  const auto time = parse_http_date(head.headers.get("Date"));
  if (!time) {
    return incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  }
  claim.time = *time;
  claim.date_time = iso8601_basic(*time);
  return {};
}

ApiResult<Claim> read_header_claim(const http::RequestHead& head, std::string_view authorization) {
  Claim claim;
  std::string_view credential;
  std::string_view headers;
  std::string_view signature;
  authorization.remove_prefix(sigv4::kAlgorithm.size());
  while (!authorization.empty()) {
    const auto end = authorization.find(',');
    const auto part = trim(authorization.substr(0, end));
    authorization = end == std::string_view::npos ? std::string_view() : authorization.substr(end + 1);
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const auto name = part.substr(0, equals);
    const auto value = part.substr(equals + 1);
    if (name == "Credential") credential = value;
    if (name == "SignedHeaders") headers = value;
    if (name == "Signature") signature = value;
  }
  std::string missing;
  for (const auto& [name, value] :
       {std::pair{"Credential", credential}, {"Signature", signature}, {"SignedHeaders", headers}}) {
    if (value.empty()) missing += fmt::format("Authorization header requires '{}' parameter. ", name);
  }
  if (!missing.empty()) return incomplete(missing + "Authorization=AWS4-HMAC-SHA256");
  if (auto read = read_credential(credential, claim); !read) return std::unexpected(std::move(read.error()));
  read_signed_headers(headers, claim);
  claim.signature = signature;
  claim.token = head.headers.get("X-Amz-Security-Token");
  if (auto read = read_time(head, head.headers.get("X-Amz-Date"), claim); !read) {
    return std::unexpected(std::move(read.error()));
  }
  return claim;
}

ApiResult<Claim> read_query_claim(const http::RequestHead& head) {
  Claim claim;
  const auto parameter = [&](std::string_view name) { return http::query_value(head.query(), name); };
  const auto credential = parameter("X-Amz-Credential");
  const auto headers = parameter("X-Amz-SignedHeaders");
  const auto signature = parameter("X-Amz-Signature");
  const auto date = parameter("X-Amz-Date");
  const auto expires = parameter("X-Amz-Expires");
  if (!credential || !headers || !signature || !date) {
    return incomplete(
        "AWS query-string parameters must include 'X-Amz-Algorithm', 'X-Amz-Credential', "
        "'X-Amz-Signature', 'X-Amz-SignedHeaders' and 'X-Amz-Date'.");
  }
  if (auto read = read_credential(*credential, claim); !read) return std::unexpected(std::move(read.error()));
  read_signed_headers(*headers, claim);
  claim.signature = *signature;
  claim.token = parameter("X-Amz-Security-Token").value_or("");
  if (auto read = read_time(head, *date, claim); !read) return std::unexpected(std::move(read.error()));
  if (expires) {
    std::int64_t seconds = -1;
    const auto* end = expires->data() + expires->size();
    const auto parsed = std::from_chars(expires->data(), end, seconds);
    if (parsed.ec != std::errc() || parsed.ptr != end || seconds < 0 || seconds > kLongestPresigned.count()) {
      return incomplete("X-Amz-Expires must be a number of seconds, at most 604800.");
    }
    claim.expires = std::chrono::seconds(seconds);
  }
  return claim;
}

ApiResult<void> check_time(const Claim& claim, SystemTime now, std::chrono::seconds skew) {
  if (claim.scope.date != std::string_view(claim.date_time).substr(0, 8)) {
    return refuse(common_errors::InvalidSignatureException,
                  fmt::format("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
                              "HTTP: '{}' != '{}', from '{}'.",
                              claim.scope.date, claim.date_time.substr(0, 8), claim.date_time));
  }
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(skew).count();
  if (claim.time > now + skew) {
    return refuse(common_errors::InvalidSignatureException,
                  fmt::format("Signature not yet current: {} is still later than {} ({} + {} min.)", claim.date_time,
                              iso8601_basic(now + skew), iso8601_basic(now), minutes));
  }
  const auto lifetime = claim.expires ? *claim.expires : skew;
  if (claim.time + lifetime < now) {
    return refuse(common_errors::InvalidSignatureException,
                  fmt::format("Signature expired: {} is now earlier than {} ({} - {} min.)", claim.date_time,
                              iso8601_basic(now - lifetime), iso8601_basic(now),
                              std::chrono::duration_cast<std::chrono::minutes>(lifetime).count()));
  }
  return {};
}

// A header that says something to the service must not be left unsigned. The token may be: it proves itself.
ApiResult<void> check_signed_headers(const http::RequestHead& head, const Claim& claim) {
  const auto is_signed = [&](std::string_view name) {
    return std::ranges::any_of(claim.signed_headers, [&](const auto& s) { return iequals(s, name); });
  };
  if (!is_signed("host")) {
    return refuse(common_errors::InvalidSignatureException,
                  "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  for (const auto& [name, value] : head.headers) {
    const bool matters = name.size() > 6 && iequals(std::string_view(name).substr(0, 6), "x-amz-");
    if (!matters || iequals(name, "x-amz-security-token")) continue;
    if (!is_signed(name)) {
      return refuse(common_errors::InvalidSignatureException,
                    "There were headers present in the request which were not signed: " + to_lower(name));
    }
  }
  return {};
}

const std::string& mismatch_message() {
  static const std::string text =
      "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
      "Key and signing method. Consult the service documentation for details.";
  return text;
}

http::RequestHead without_token(const http::RequestHead& head) {
  http::RequestHead out = head;
  out.target = std::string(head.path()) + "?" + sigv4::canonical_query(head.query(), "X-Amz-Security-Token");
  return out;
}

bool is_hex_hash(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

bool unsigned_by_clients(std::string_view name) {
  constexpr std::string_view kLeftOut[] = {"authorization", "connection",        "expect",         "user-agent",
                                           "accept",        "transfer-encoding", "x-amzn-trace-id"};
  return std::ranges::any_of(kLeftOut, [&](auto left) { return iequals(left, name); });
}

std::vector<std::string> headers_to_sign(const http::Headers& headers) {
  std::vector<std::string> names;
  for (const auto& [name, value] : headers) {
    if (!unsigned_by_clients(name)) names.push_back(to_lower(name));
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

std::string joined(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ";")); }

PathRule path_rule(std::string_view service) { return service == "s3" ? PathRule::kAsIs : PathRule::kNormalized; }

}  // namespace

ApiResult<Verified> verify(const http::RequestHead& head, std::string_view body_sha256_hex, SystemTime now,
                           const CredentialLookup& credentials, const VerifySettings& settings) {
  const auto authorization = trim(head.headers.get("Authorization"));
  const bool presigned = authorization.empty() && http::query_value(head.query(), "X-Amz-Algorithm").has_value();
  if (!presigned && !authorization.starts_with(sigv4::kAlgorithm)) {
    return refuse(common_errors::MissingAuthenticationTokenException, "Missing Authentication Token");
  }
  if (presigned && http::query_value(head.query(), "X-Amz-Algorithm") != sigv4::kAlgorithm) {
    return incomplete("X-Amz-Algorithm must be AWS4-HMAC-SHA256.");
  }
  auto claim = presigned ? read_query_claim(head) : read_header_claim(head, authorization);
  if (!claim) return std::unexpected(std::move(claim.error()));

  const auto secret = credentials(claim->access_key_id);
  const bool token_good = secret && constant_time_equal(secret->session_token, claim->token);
  if (!secret || !token_good) {
    return refuse(common_errors::UnrecognizedClientException, "The security token included in the request is invalid.");
  }
  if (auto good = check_time(*claim, now, settings.clock_skew); !good) return std::unexpected(std::move(good.error()));
  if (auto good = check_signed_headers(head, *claim); !good) return std::unexpected(std::move(good.error()));

  std::string stated(head.headers.get("X-Amz-Content-Sha256"));
  if (presigned && stated.empty()) stated = http::query_value(head.query(), "X-Amz-Content-Sha256").value_or("");
  std::string payload_hash = stated;
  if (payload_hash.empty()) {
    const bool by_rule_unsigned = presigned && claim->scope.service == "s3";
    payload_hash = by_rule_unsigned ? sigv4::kUnsignedPayload : body_sha256_hex;
  }
  const auto rule = settings.normalize_path ? PathRule::kNormalized : PathRule::kAsIs;
  const auto key = sigv4::signing_key(secret->secret_access_key, claim->scope);
  const auto matches = [&](const http::RequestHead& as) {
    const auto canonical =
        sigv4::canonical_request(as, claim->signed_headers, payload_hash, rule, presigned ? "X-Amz-Signature" : "");
    const auto expected = sigv4::hex_signature(key, sigv4::string_to_sign(claim->date_time, claim->scope, canonical));
    return constant_time_equal(expected, claim->signature);
  };
  // Some clients add the token to a presigned URL after signing it.
  if (!matches(head) && !(presigned && !claim->token.empty() && matches(without_token(head)))) {
    return refuse(common_errors::InvalidSignatureException, mismatch_message());
  }
  // A body that was hashed must be the one that was signed for, whoever forgets to compare the two later.
  if (is_hex_hash(stated) && !body_sha256_hex.empty() && !iequals(stated, body_sha256_hex)) {
    return refuse(common_errors::InvalidSignatureException,
                  "The provided 'x-amz-content-sha256' header does not match what was computed.");
  }
  Verified verified;
  verified.principal = secret->principal;
  verified.region = claim->scope.region;
  verified.service = claim->scope.service;
  verified.payload_hash = std::move(stated);
  return verified;
}

void sign(http::RequestHead& head, std::string_view body, const SigningKey& key, SystemTime now) {
  const auto date_time = iso8601_basic(now);
  head.headers.set("X-Amz-Date", date_time);
  if (!key.session_token.empty()) head.headers.set("X-Amz-Security-Token", key.session_token);
  head.headers.erase("Authorization");
  const Scope scope{.date = date_time.substr(0, 8), .region = key.region, .service = key.service};
  const auto names = headers_to_sign(head.headers);
  const auto stated = head.headers.get("X-Amz-Content-Sha256");
  const auto payload_hash = stated.empty() ? hex_encode(sha256(body)) : std::string(stated);
  const auto canonical = sigv4::canonical_request(head, names, payload_hash, path_rule(key.service), "");
  const auto signature = sigv4::hex_signature(sigv4::signing_key(key.secret_access_key, scope),
                                              sigv4::string_to_sign(date_time, scope, canonical));
  head.headers.set("Authorization",
                   fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", sigv4::kAlgorithm,
                               key.access_key_id, scope.text(), joined(names), signature));
}

std::string presign(const http::RequestHead& head, const SigningKey& key, SystemTime now,
                    std::chrono::seconds expires) {
  const auto date_time = iso8601_basic(now);
  const Scope scope{.date = date_time.substr(0, 8), .region = key.region, .service = key.service};
  const auto names = headers_to_sign(head.headers);
  const auto escape = [](std::string_view text) { return percent_encode(text, Slash::kEncode); };
  std::string query(head.query());
  if (!query.empty()) query += '&';
  query += fmt::format("X-Amz-Algorithm={}&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-SignedHeaders={}&X-Amz-Expires={}",
                       sigv4::kAlgorithm, escape(key.access_key_id + "/" + scope.text()), date_time,
                       escape(joined(names)), expires.count());
  if (!key.session_token.empty()) query += "&X-Amz-Security-Token=" + escape(key.session_token);
  http::RequestHead with_query = head;
  with_query.target = std::string(head.path()) + "?" + query;
  const auto payload_hash = key.service == "s3" ? std::string(sigv4::kUnsignedPayload) : hex_encode(sha256(""));
  const auto canonical =
      sigv4::canonical_request(with_query, names, payload_hash, path_rule(key.service), "X-Amz-Signature");
  const auto signature = sigv4::hex_signature(sigv4::signing_key(key.secret_access_key, scope),
                                              sigv4::string_to_sign(date_time, scope, canonical));
  return with_query.target + "&X-Amz-Signature=" + signature;
}

}  // namespace mayfly::aws
