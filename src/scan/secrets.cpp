#include "scan/secrets.h"

#include <algorithm>
#include <array>

namespace mayfly::scan {
namespace {

bool is_upper_or_digit(char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_word(char c) { return is_upper_or_digit(c) || (c >= 'a' && c <= 'z') || c == '_'; }
bool is_token(char c) { return is_word(c) || c == '-'; }

// A prefix and at least so many characters of a kind after it, neither preceded nor followed by one of them.
struct Form {
  std::string_view kind;
  std::string_view prefix;
  std::size_t least = 0;
  std::size_t most = 0;
  bool (*allowed)(char);
};

// Sources: the issuers' documentation of their token formats.
constexpr std::array kForms{
    Form{.kind = "AWS access key", .prefix = "AKIA", .least = 16, .most = 16, .allowed = is_upper_or_digit},
    Form{.kind = "AWS temporary access key", .prefix = "ASIA", .least = 16, .most = 16, .allowed = is_upper_or_digit},
    Form{.kind = "GitHub token", .prefix = "ghp_", .least = 36, .most = 255, .allowed = is_word},
    Form{.kind = "GitHub token", .prefix = "gho_", .least = 36, .most = 255, .allowed = is_word},
    Form{.kind = "GitHub token", .prefix = "ghs_", .least = 36, .most = 255, .allowed = is_word},
    Form{.kind = "GitHub token", .prefix = "github_pat_", .least = 50, .most = 255, .allowed = is_word},
    Form{.kind = "GitLab token", .prefix = "glpat-", .least = 20, .most = 255, .allowed = is_token},
    Form{.kind = "Slack token", .prefix = "xoxb-", .least = 20, .most = 255, .allowed = is_token},
    Form{.kind = "Slack token", .prefix = "xoxp-", .least = 20, .most = 255, .allowed = is_token},
    Form{.kind = "Stripe live key", .prefix = "sk_live_", .least = 20, .most = 255, .allowed = is_word},
    Form{.kind = "Stripe live key", .prefix = "rk_live_", .least = 20, .most = 255, .allowed = is_word},
    Form{.kind = "Google API key", .prefix = "AIza", .least = 35, .most = 35, .allowed = is_token},
    Form{.kind = "npm token", .prefix = "npm_", .least = 36, .most = 36, .allowed = is_word},
    Form{.kind = "PyPI token", .prefix = "pypi-AgEI", .least = 50, .most = 1024, .allowed = is_token},
    Form{.kind = "SendGrid key",
         .prefix = "SG.",
         .least = 60,
         .most = 80,
         .allowed = [](char c) { return is_token(c) || c == '.'; }},
};
constexpr std::array<std::string_view, 5> kPrivateKeys{
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----", "-----BEGIN DSA PRIVATE KEY-----"};
constexpr std::size_t kBinaryLook = 8192;

bool is_binary(std::string_view text) { return text.substr(0, kBinaryLook).find('\0') != std::string_view::npos; }

std::size_t line_of(std::string_view text, std::size_t at) {
  return 1 + static_cast<std::size_t>(std::ranges::count(text.substr(0, at), '\n'));
}

std::string excerpt(std::string_view secret) {
  constexpr std::size_t kShown = 6;
  return std::string(secret.substr(0, kShown)) + "...";
}

}  // namespace

std::vector<SecretFinding> find_secrets(std::string_view file, std::string_view text) {
  std::vector<SecretFinding> out;
  if (is_binary(text)) return out;
  for (const auto& form : kForms) {
    for (auto at = text.find(form.prefix); at != std::string_view::npos && out.size() < kMostSecretsOfAFile;
         at = text.find(form.prefix, at + 1)) {
      if (at > 0 && is_word(text[at - 1])) continue;
      auto end = at + form.prefix.size();
      while (end < text.size() && form.allowed(text[end])) ++end;
      const auto length = end - at - form.prefix.size();
      if (length < form.least || length > form.most || (end < text.size() && is_word(text[end]))) continue;
      const auto secret = text.substr(at, end - at);
      if (secret.ends_with("EXAMPLE")) continue;
      out.push_back({.kind = std::string(form.kind),
                     .file = std::string(file),
                     .line = line_of(text, at),
                     .excerpt = excerpt(secret)});
    }
  }
  for (const auto mark : kPrivateKeys) {
    for (auto at = text.find(mark); at != std::string_view::npos && out.size() < kMostSecretsOfAFile;
         at = text.find(mark, at + mark.size())) {
      // The words alone, as a program that reads keys has them, are no key: its text follows on lines of its own.
      const auto after = at + mark.size();
      const bool key_follows =
          after + 1 < text.size() && (text[after] == '\n' || text[after] == '\r' || text[after] == '\\');
      if (!key_follows) continue;
      out.push_back(
          {.kind = "private key", .file = std::string(file), .line = line_of(text, at), .excerpt = std::string(mark)});
    }
  }
  std::ranges::sort(out, {}, &SecretFinding::line);
  return out;
}

}  // namespace mayfly::scan
