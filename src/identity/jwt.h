// JSON Web Tokens: parsing, signatures of asymmetric keys, and the claims that decide. What a token says of itself
// (its algorithm above all) is only ever compared with what the key is for.
//
// Source.  RFC 7515 (JWS compact form), 7517 (JWK), 7518 (algorithms), 7519 (claims), 8725 (best practice).
// Limits.  16 KiB a token, 64 levels of JSON, 100 keys and 1 MiB a key set; RSA keys of 2048 to 8192 bits.
// Own code instead of a library: the compact form is small, OpenSSL does the cryptography, and what the known libraries
// offer beyond it (HS*, "none", embedded keys) is what must not be there.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

namespace mayfly::identity {

struct Jwt {
  std::string algorithm;  // "RS256"
  std::string key_id;
  json::object claims;
  std::string signed_part;  // header.payload as sent
  std::string signature;    // raw bytes
};
// kInvalid with the reason; kUnsupported for an algorithm that is none of RS256, RS384, RS512, ES256, ES384, ES512.
// Nothing of the result is believed before verify_signature().
Result<Jwt> parse_jwt(std::string_view token);

// One public key of a set.
class Jwk {
 public:
  // kUnsupported for a kind of key that is not for these algorithms; kInvalid for one that is malformed or too weak.
  static Result<Jwk> read(const json::object& document);

  [[nodiscard]] const std::string& id() const { return id_; }
  // kUnauthorized with the reason.
  [[nodiscard]] Result<void> verify(const Jwt& token) const;

 private:
  std::string id_;
  std::string algorithm_;  // the only one it is for; "": any of its kind
  std::string kind_;       // "RSA", "P-256", "P-384", "P-521"
  std::shared_ptr<void> key_;
};
// The keys of a set that are for signatures; those of other kinds are left out. kInvalid where it is no set.
Result<std::vector<Jwk>> parse_jwks(std::string_view text);

struct JwtRules {
  std::string_view issuer;
  std::span<const std::string> audience;  // one of them in aud, or client_id where the token has no aud
  SystemTime now;
};
// iss, aud or client_id, exp (which must be there), nbf and iat. kTimeout for one that has expired, else
// kUnauthorized with the reason.
Result<void> check_claims(const Jwt& token, const JwtRules& rules);

// The words of "scope", or the members of "scp".
std::vector<std::string> scopes_of(const json::object& claims);
// A claim as text, the way API Gateway shows it: lists as "[a b]".
std::string claim_text(const json::value& value);

}  // namespace mayfly::identity
