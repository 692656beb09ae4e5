// Bodies in the "aws-chunked" form: each chunk says its length and, where the payload is signed, its signature, which
// covers the one before it. A trailer may carry a checksum of the whole.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "aws/checksum.h"
#include "aws/sigv4.h"
#include "aws/sigv4_canonical.h"
#include "base/crypto.h"
#include "base/encoding.h"

namespace mayfly::aws {

using sigv4::refuse;

namespace {

std::unexpected<ApiError> malformed() {
  return refuse(common_errors::ValidationException, "The chunked body is malformed or ends early.");
}

template <typename Word>
std::string big_endian(Word value) {
  std::string out;
  for (int shift = static_cast<int>(sizeof(Word)) * 8 - 8; shift >= 0; shift -= 8) {
    out += static_cast<char>((value >> shift) & 0xFFU);
  }
  return out;
}

std::optional<std::string> checksum_of(std::string_view trailer, std::string_view body) {
  if (trailer == "x-amz-checksum-crc32") return base64_encode(big_endian(crc32(body)));
  if (trailer == "x-amz-checksum-crc32c") return base64_encode(big_endian(crc32c(body)));
  if (trailer == "x-amz-checksum-crc64nvme") return base64_encode(big_endian(crc64_nvme(body)));
  if (trailer == "x-amz-checksum-sha256") return base64_encode(sha256(body));
  return std::nullopt;
}

// The chain of signatures: the first is the one of the request's head.
class Chain {
 public:
  static std::optional<Chain> from(const http::RequestHead& head, const Secret& secret) {
    const auto authorization = head.headers.get("Authorization");
    const auto field = [&](std::string_view name) -> std::string_view {
      const auto at = authorization.find(name);
      if (at == std::string_view::npos) return {};
      const auto rest = authorization.substr(at + name.size());
      return trim(rest.substr(0, rest.find(',')));
    };
    auto credential = field("Credential=");
    std::string_view parts[4];
    for (auto& part : parts) {
      const auto slash = credential.rfind('/');
      if (slash == std::string_view::npos) return std::nullopt;
      part = credential.substr(slash + 1);
      credential = credential.substr(0, slash);
    }
    const sigv4::Scope scope{
        .date = std::string(parts[3]), .region = std::string(parts[2]), .service = std::string(parts[1])};
    Chain chain;
    chain.key_ = sigv4::signing_key(secret.secret_access_key, scope);
    chain.scope_ = scope.text();
    chain.date_time_ = head.headers.get("X-Amz-Date");
    chain.previous_ = field("Signature=");
    return chain;
  }

  bool accept_chunk(std::string_view data, std::string_view signature) {
    return accept("AWS4-HMAC-SHA256-PAYLOAD", hex_encode(sha256("")) + "\n" + hex_encode(sha256(data)), signature);
  }
  bool accept_trailer(std::string_view trailer, std::string_view signature) {
    return accept("AWS4-HMAC-SHA256-TRAILER", hex_encode(sha256(trailer)), signature);
  }

 private:
  bool accept(std::string_view algorithm, const std::string& hashes, std::string_view signature) {
    auto expected =
        sigv4::hex_signature(key_, fmt::format("{}\n{}\n{}\n{}\n{}", algorithm, date_time_, scope_, previous_, hashes));
    const bool good = constant_time_equal(expected, signature);
    previous_ = std::move(expected);
    return good;
  }

  std::string key_;
  std::string scope_;
  std::string date_time_;
  std::string previous_;
};

// The next line, without its end; false where there is none.
bool take_line(std::string_view& rest, std::string_view& line) {
  const auto end = rest.find("\r\n");
  if (end == std::string_view::npos) return false;
  line = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  return true;
}

struct Trailer {
  std::string canonical;  // "name:value\n" of each field
  std::string signature;
  std::vector<std::pair<std::string, std::string>> fields;
};

std::optional<Trailer> read_trailer(std::string_view rest) {
  Trailer trailer;
  while (!rest.empty()) {
    std::string_view line;
    if (!take_line(rest, line)) {
      line = rest;
      rest = {};
    }
    // Some clients end the line of the checksum with a bare LF as well.
    while (line.ends_with('\n')) line.remove_suffix(1);
    if (line.empty()) continue;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto name = to_lower(trim(line.substr(0, colon)));
    const auto value = trim(line.substr(colon + 1));
    if (name == "x-amz-trailer-signature") {
      trailer.signature = value;
    } else {
      trailer.canonical += fmt::format("{}:{}\n", name, value);
      trailer.fields.emplace_back(name, value);
    }
  }
  return trailer;
}

}  // namespace

ApiResult<std::string> decode_chunked_payload(const http::RequestHead& head, std::string body, const Secret& secret) {
  const auto kind = head.headers.get("X-Amz-Content-Sha256");
  const bool is_signed = kind.starts_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  const bool has_trailer = kind.ends_with("-TRAILER");
  if (!is_signed && kind != "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
    return refuse(common_errors::ValidationException, fmt::format("Unknown form of payload: {}", kind));
  }
  std::optional<Chain> chain;
  if (is_signed) {
    chain = Chain::from(head, secret);
    if (!chain)
      return refuse(common_errors::IncompleteSignatureException, "A signed chunked body needs a signed head.");
  }
  const auto bad_signature = [] {
    return refuse(common_errors::InvalidSignatureException, "The signature of a chunk does not match.");
  };

  std::string out;
  out.reserve(body.size());
  std::string_view rest = body;
  for (;;) {
    std::string_view line;
    if (!take_line(rest, line)) return malformed();
    const auto semicolon = line.find(';');
    const auto digits = line.substr(0, semicolon);
    std::size_t length = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), length, 16);
    if (digits.empty() || parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return malformed();
    if (length > rest.size()) return malformed();
    const auto data = rest.substr(0, length);
    if (is_signed) {
      constexpr std::string_view kPrefix = "chunk-signature=";
      const auto extension = semicolon == std::string_view::npos ? std::string_view() : line.substr(semicolon + 1);
      if (!extension.starts_with(kPrefix)) return malformed();
      if (!chain->accept_chunk(data, extension.substr(kPrefix.size()))) return bad_signature();
    }
    if (length == 0) break;
    out += data;
    rest.remove_prefix(length);
    if (!rest.starts_with("\r\n")) return malformed();
    rest.remove_prefix(2);
  }
  const auto announced = head.headers.get("X-Amz-Decoded-Content-Length");
  if (!announced.empty() && announced != fmt::format("{}", out.size())) return malformed();
  if (!has_trailer) return out;

  const auto trailer = read_trailer(rest);
  if (!trailer) return malformed();
  if (is_signed && !chain->accept_trailer(trailer->canonical, trailer->signature)) return bad_signature();
  for (const auto& [name, value] : trailer->fields) {
    if (!name.starts_with("x-amz-checksum-")) continue;
    const auto expected = checksum_of(name, out);
    if (!expected) return refuse(common_errors::ValidationException, fmt::format("{} is not supported.", name));
    if (*expected != value) {
      return refuse(common_errors::ValidationException, fmt::format("Value for {} trailing header is invalid.", name));
    }
  }
  return out;
}

}  // namespace mayfly::aws
