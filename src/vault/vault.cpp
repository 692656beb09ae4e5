#include "vault/vault.h"

#include <fmt/core.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/encoding.h"
#include "base/ids.h"

namespace mayfly::vault {
namespace {

constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kIdLength = 16;
constexpr std::size_t kLongestValue = 16UL * 1024 * 1024;
constexpr std::string_view kWrapContext = "mayfly data key";

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

std::string to_base64url(std::string_view bytes) {
  auto text = base64_encode(bytes);
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return text;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string standard(text);
  for (char& c : standard) {
    if (c == '+' || c == '/' || c == '=') return std::nullopt;  // one text for each value
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  while (standard.size() % 4 != 0) standard += '=';
  return base64_decode(standard);
}

// Nonce, tag and ciphertext.
std::string encrypt(std::string_view key, std::string_view context, std::string_view plain) {
  std::string nonce = random_bytes(kNonceBytes);
  std::string tag(kTagBytes, '\0');
  std::string out(plain.size(), '\0');
  int length = 0;
  const Cipher cipher(EVP_CIPHER_CTX_new());
  MAYFLY_ASSERT(EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key), bytes_of(nonce)) == 1);
  MAYFLY_ASSERT(
      EVP_EncryptUpdate(cipher.get(), nullptr, &length, bytes_of(context), static_cast<int>(context.size())) == 1);
  MAYFLY_ASSERT(
      EVP_EncryptUpdate(cipher.get(), bytes_of(out), &length, bytes_of(plain), static_cast<int>(plain.size())) == 1);
  MAYFLY_ASSERT(EVP_EncryptFinal_ex(cipher.get(), bytes_of(out) + length, &length) == 1);
  MAYFLY_ASSERT(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag.data()) == 1);
  return nonce + tag + out;
}

std::optional<ClearText> decrypt(std::string_view key, std::string_view context, std::string_view bytes) {
  if (bytes.size() < kNonceBytes + kTagBytes) return std::nullopt;
  const auto nonce = bytes.substr(0, kNonceBytes);
  std::string tag(bytes.substr(kNonceBytes, kTagBytes));
  const auto body = bytes.substr(kNonceBytes + kTagBytes);
  ClearText out(std::string(body.size(), '\0'));
  int length = 0;
  const Cipher cipher(EVP_CIPHER_CTX_new());
  const bool opened =
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key), bytes_of(nonce)) == 1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &length, bytes_of(context), static_cast<int>(context.size())) == 1 &&
      EVP_DecryptUpdate(cipher.get(), bytes_of(out.bytes()), &length, bytes_of(body), static_cast<int>(body.size())) ==
          1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), bytes_of(out.bytes()) + length, &length) == 1;
  if (!opened) return std::nullopt;
  return out;
}

// The parts of a sealed text, still encoded.
struct Parts {
  std::string_view id;
  std::string_view wrapped;
  std::string_view value;
};

std::optional<Parts> split(std::string_view sealed) {
  if (!sealed.starts_with(kSealedPrefix)) return std::nullopt;
  sealed.remove_prefix(kSealedPrefix.size());
  if (sealed.size() < kIdLength + 1 || sealed[kIdLength] != '.') return std::nullopt;
  Parts parts;
  parts.id = sealed.substr(0, kIdLength);
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (!std::ranges::all_of(parts.id, is_hex)) return std::nullopt;
  sealed.remove_prefix(kIdLength + 1);
  const auto dot = sealed.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  parts.wrapped = sealed.substr(0, dot);
  parts.value = sealed.substr(dot + 1);
  return parts;
}

std::string join(std::string_view id, std::string_view wrapped, std::string_view value) {
  return fmt::format("{}{}.{}.{}", kSealedPrefix, id, wrapped, value);
}

std::unexpected<Error> no_sealed_value() { return fail(ErrorCode::kCorrupt, "this is no sealed value"); }

std::unexpected<Error> needs_key(std::string_view id) {
  return fail(ErrorCode::kNotFound, fmt::format("it needs the master key {}, which this server does not have", id),
              "Put that key behind the current one where the master keys come from (docs/secrets.md).");
}

std::unexpected<Error> not_its_own(std::string_view id) {
  return fail(ErrorCode::kCorrupt,
              fmt::format("it does not verify under its master key {}: it was changed, or is another record's", id));
}

std::optional<ClearText> unwrap(const MasterKey& master, std::string_view wrapped) {
  const auto bytes = from_base64url(wrapped);
  if (!bytes) return std::nullopt;
  auto key = decrypt(master.key.view(), kWrapContext, *bytes);
  if (!key || key->view().size() != kKeyBytes) return std::nullopt;
  return key;
}

}  // namespace

Vault::Vault(MasterKeys keys) : keys_(std::move(keys)) { MAYFLY_ASSERT(!keys_.empty()); }

MasterKeyPtr Vault::current() const {
  const std::lock_guard lock(mutex_);
  return keys_.front();
}

MasterKeyPtr Vault::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(keys_, [id](const MasterKeyPtr& key) { return key->id == id; });
  return found == keys_.end() ? nullptr : *found;
}

void Vault::replace_keys(MasterKeys keys) {
  MAYFLY_ASSERT(!keys.empty());
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
}

std::string Vault::current_key_id() const { return current()->id; }

std::vector<std::string> Vault::key_ids() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& key : keys_) out.push_back(key->id);
  return out;
}

std::string Vault::seal(std::string_view context, std::string_view plain) const {
  MAYFLY_ASSERT(plain.size() <= kLongestValue);
  const auto master = current();
  const ClearText key(random_bytes(kKeyBytes));
  const auto wrapped = encrypt(master->key.view(), kWrapContext, key.view());
  return join(master->id, to_base64url(wrapped), to_base64url(encrypt(key.view(), context, plain)));
}

Result<ClearText> Vault::open(std::string_view context, std::string_view sealed) const {
  const auto parts = split(sealed);
  if (!parts || sealed.size() > 2 * kLongestValue) return no_sealed_value();
  const auto master = find(parts->id);
  if (!master) return needs_key(parts->id);
  const auto key = unwrap(*master, parts->wrapped);
  const auto bytes = from_base64url(parts->value);
  if (!key || !bytes) return not_its_own(parts->id);
  auto plain = decrypt(key->view(), context, *bytes);
  if (!plain) return not_its_own(parts->id);
  return std::move(*plain);
}

Result<std::string> Vault::rewrap(std::string_view sealed) const {
  const auto parts = split(sealed);
  if (!parts) return no_sealed_value();
  const auto now = current();
  if (parts->id == now->id) return std::string(sealed);
  const auto master = find(parts->id);
  if (!master) return needs_key(parts->id);
  const auto key = unwrap(*master, parts->wrapped);
  if (!key) return not_its_own(parts->id);
  return join(now->id, to_base64url(encrypt(now->key.view(), kWrapContext, key->view())), parts->value);
}

std::optional<std::string> master_key_of(std::string_view sealed) {
  const auto parts = split(sealed);
  if (!parts) return std::nullopt;
  return std::string(parts->id);
}

std::optional<std::pair<std::size_t, std::size_t>> next_sealed(std::string_view text, std::size_t from) {
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  for (auto begin = text.find(kSealedPrefix, from); begin != std::string_view::npos;
       begin = text.find(kSealedPrefix, begin + 1)) {
    auto end = begin;
    while (end < text.size() && is_part(text[end])) ++end;
    if (split(text.substr(begin, end - begin))) return std::pair(begin, end);
  }
  return std::nullopt;
}

}  // namespace mayfly::vault
