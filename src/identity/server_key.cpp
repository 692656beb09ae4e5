#include "identity/server_key.h"

#include <fmt/core.h>
#include <openssl/evp.h>

#include <memory>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "identity/private_file.h"

namespace mayfly::identity {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kSecretLength = 40;
// Nobody seals more than a session with its policies.
constexpr std::size_t kLongestSealed = 65'536;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());  // SAFETY: char and unsigned char may alias.
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());  // SAFETY: as above.
}

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

}  // namespace

Result<ServerKey> ServerKey::load_or_make(const std::filesystem::path& data) {
  const auto path = data / kServerKeyFile;
  const auto text = read_private_file(path);
  if (text) {
    auto bytes = hex_decode(std::string_view(*text).substr(0, 2 * kKeyBytes));
    if (!bytes || bytes->size() != kKeyBytes) {
      return fail(ErrorCode::kCorrupt, fmt::format("{}: holds no key", path.string()));
    }
    return ServerKey(std::move(*bytes));
  }
  if (text.error().code != ErrorCode::kNotFound) return std::unexpected(text.error());
  auto bytes = random_bytes(kKeyBytes);
  if (auto written = write_private_file(path, hex_encode(bytes) + "\n"); !written) {
    return std::unexpected(written.error());
  }
  return ServerKey(std::move(bytes));
}

std::string ServerKey::key_for(std::string_view purpose) const { return hmac_sha256(bytes_, purpose); }

std::string ServerKey::secret_of(std::string_view access_key_id) const {
  const auto text = base64_encode(hmac_sha256(key_for("access key secrets"), access_key_id));
  return text.substr(0, kSecretLength);
}

std::string ServerKey::seal(std::string_view purpose, std::string_view plain) const {
  const auto key = key_for(purpose);
  const auto nonce = random_bytes(kNonceBytes);
  std::string out(plain.size(), '\0');
  std::string tag(kTagBytes, '\0');
  int length = 0;
  const Cipher context(EVP_CIPHER_CTX_new());
  MAYFLY_ASSERT(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key), bytes_of(nonce)) == 1);
  MAYFLY_ASSERT(
      EVP_EncryptUpdate(context.get(), bytes_of(out), &length, bytes_of(plain), static_cast<int>(plain.size())) == 1);
  MAYFLY_ASSERT(EVP_EncryptFinal_ex(context.get(), bytes_of(out) + length, &length) == 1);
  MAYFLY_ASSERT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag.data()) == 1);
  return base64_encode(nonce + tag + out);
}

std::optional<std::string> ServerKey::open(std::string_view purpose, std::string_view sealed) const {
  if (sealed.size() > kLongestSealed) return std::nullopt;
  const auto bytes = base64_decode(sealed);
  if (!bytes || bytes->size() < kNonceBytes + kTagBytes) return std::nullopt;
  // The last digit has bits that stand for nothing: one sealed text has one form.
  if (base64_encode(*bytes) != sealed) return std::nullopt;
  const auto key = key_for(purpose);
  const std::string_view nonce(bytes->data(), kNonceBytes);
  std::string tag = bytes->substr(kNonceBytes, kTagBytes);
  const auto cipher = std::string_view(*bytes).substr(kNonceBytes + kTagBytes);
  std::string out(cipher.size(), '\0');
  int length = 0;
  const Cipher context(EVP_CIPHER_CTX_new());
  if (EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key), bytes_of(nonce)) != 1) return {};
  if (EVP_DecryptUpdate(context.get(), bytes_of(out), &length, bytes_of(cipher), static_cast<int>(cipher.size())) != 1)
    return {};
  if (EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) != 1) return {};
  if (EVP_DecryptFinal_ex(context.get(), bytes_of(out) + length, &length) != 1) return {};
  return out;
}

}  // namespace mayfly::identity
