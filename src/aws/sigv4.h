// AWS Signature Version 4: verification (header, query string, chunked payloads signed and unsigned with trailers) and
// signing (command line, tests). Source: the SigV4 pages of the IAM user guide and the published test suites.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "aws/api.h"
#include "base/clock.h"
#include "http/message.h"

namespace mayfly::aws {

struct Secret {
  std::string secret_access_key;
  std::string session_token;  // "" where the key is a long-term one
  Principal principal;
};
using CredentialLookup = std::function<std::optional<Secret>(std::string_view access_key_id)>;

struct Verified {
  Principal principal;
  std::string region;        // of the credential scope
  std::string service;       // "lambda"
  std::string payload_hash;  // what x-amz-content-sha256 says; "" where absent
};

struct VerifySettings {
  std::chrono::seconds clock_skew{300};
  bool normalize_path = true;  // false for S3
};

// Checks everything but the body's hash. The errors are the ones AWS names: MissingAuthenticationTokenException,
// IncompleteSignatureException, UnrecognizedClientException, InvalidSignatureException (mismatch, skew),
// ExpiredTokenException.
ApiResult<Verified> verify(const http::RequestHead& head, std::string_view body_sha256_hex, SystemTime now,
                           const CredentialLookup& credentials, const VerifySettings& settings);

// Decodes a chunked ("aws-chunked") body in place of STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER] and
// STREAMING-UNSIGNED-PAYLOAD-TRAILER, checking each chunk's signature and the trailer's checksum.
ApiResult<std::string> decode_chunked_payload(const http::RequestHead& head, std::string body, const Secret& secret);

struct SigningKey {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  std::string region;
  std::string service;
};
// Adds X-Amz-Date, X-Amz-Security-Token where there is one, and Authorization. Host must be set.
void sign(http::RequestHead& head, std::string_view body, const SigningKey& key, SystemTime now);
// A presigned URL's path and query, valid for `expires`.
std::string presign(const http::RequestHead& head, const SigningKey& key, SystemTime now, std::chrono::seconds expires);

}  // namespace mayfly::aws
