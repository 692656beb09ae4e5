// GetRandomPassword: every character from the kernel's generator, without bias.
#include <algorithm>
#include <array>

#include "base/ids.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

constexpr std::int64_t kDefaultLength = 32;

// A number below `bound`, which is at most 256.
std::size_t random_below(std::size_t bound) {
  for (;;) {
    for (const char c : random_bytes(8)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 256 / bound * bound) return byte % bound;
    }
  }
}

std::vector<std::string> alphabets_of(const wire::GetRandomPasswordRequest& request) {
  std::vector<std::string> out;
  const auto add = [&](bool excluded, std::string_view all) {
    if (excluded) return;
    std::string kept;
    for (const char c : all) {
      if (request.ExcludeCharacters.value_or("").find(c) == std::string::npos) kept += c;
    }
    if (!kept.empty()) out.push_back(std::move(kept));
  };
  add(request.ExcludeLowercase.value_or(false), "abcdefghijklmnopqrstuvwxyz");
  add(request.ExcludeUppercase.value_or(false), "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  add(request.ExcludeNumbers.value_or(false), "0123456789");
  add(request.ExcludePunctuation.value_or(false), "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");
  add(!request.IncludeSpace.value_or(false), " ");
  return out;
}

Awaitable<aws::ApiResult<wire::GetRandomPasswordResponse>> get_random_password(Core& /*core*/,
                                                                               const aws::CallContext& /*context*/,
                                                                               wire::GetRandomPasswordRequest request) {
  const auto length = static_cast<std::size_t>(request.PasswordLength.value_or(kDefaultLength));
  const auto alphabets = alphabets_of(request);
  const bool each = request.RequireEachIncludedType.value_or(true);
  if (alphabets.empty()) co_return refuse_parameter("There are no characters left to make a password of.");
  if (each && length < alphabets.size()) {
    co_return refuse_parameter("The password length is too short for the character types that it has to include.");
  }
  std::string all;
  for (const auto& alphabet : alphabets) all += alphabet;
  std::string password;
  // One of each, then any; then all in a random order.
  if (each) {
    for (const auto& alphabet : alphabets) password += alphabet[random_below(alphabet.size())];
  }
  while (password.size() < length) password += all[random_below(all.size())];
  for (std::size_t i = password.size(); i > 1; --i) {
    // Longer ones than 256 are shuffled within windows, which still puts the first few anywhere in one.
    std::swap(password[i - 1], password[random_below(std::min<std::size_t>(i, 256))]);
  }
  wire::GetRandomPasswordResponse out;
  out.RandomPassword = std::move(password);
  co_return out;
}

}  // namespace

void bind_passwords(aws::Service& service, Core& core) {
  bind<wire::GetRandomPassword>(service, core, get_random_password);
}

}  // namespace mayfly::secrets
