// The pieces that signing and verifying share: canonical request, string to sign, signing key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aws/api.h"
#include "http/message.h"

namespace mayfly::aws::sigv4 {

inline constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kTerminator = "aws4_request";

// S3 takes a path as it is and escapes it once; every other service resolves dot segments and escapes twice.
enum class PathRule : bool { kAsIs, kNormalized };

std::string canonical_path(std::string_view path, PathRule rule);
// Sorted, escaped in one way, without the parameter `without`.
std::string canonical_query(std::string_view query, std::string_view without);
std::string canonical_request(const http::RequestHead& head, const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash, PathRule rule, std::string_view query_without);

struct Scope {
  std::string date;  // 20260131
  std::string region;
  std::string service;
  [[nodiscard]] std::string text() const;  // 20260131/us-east-1/lambda/aws4_request
};

std::string signing_key(std::string_view secret_access_key, const Scope& scope);
std::string string_to_sign(std::string_view date_time, const Scope& scope, std::string_view canonical);
std::unexpected<ApiError> refuse(const ErrorModel& model, std::string message);
std::string hex_signature(std::string_view key, std::string_view text);

}  // namespace mayfly::aws::sigv4
