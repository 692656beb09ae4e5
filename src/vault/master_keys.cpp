#include "vault/master_keys.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/fd.h"
#include "base/ids.h"
#include "identity/private_file.h"

extern "C" char** environ;  // NOLINT(readability-redundant-declaration): POSIX declares it nowhere.

namespace mayfly::vault {
namespace {

constexpr std::size_t kMostKeys = 32;
constexpr std::size_t kMostOutput = 65'536;
constexpr std::chrono::seconds kCommandTime{30};

Error no_keys(std::string_view where, std::string_view what) {
  return Error{.code = ErrorCode::kCorrupt,
               .message = fmt::format("{}: {}", where, what),
               .hint = "A master key is a line of 64 hex digits: openssl rand -hex 32"};
}

// What a shell command prints. Its standard error is the server's.
Result<ClearText> run_command(const std::string& command, Clock& clock) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // The server blocks the signals that stop it; a command does not.
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::string shell = "/bin/sh";
  std::string flag = "-c";
  std::string text = command;
  const std::array<char*, 4> arguments{shell.data(), flag.data(), text.data(), nullptr};
  pid_t child = 0;
  const int spawned = ::posix_spawn(&child, shell.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (spawned != 0) return std::unexpected(errno_error(spawned, "/bin/sh"));
  write_end.reset();

  std::string buffer(kMostOutput, '\0');
  std::size_t size = 0;
  bool in_time = true;
  const auto deadline = clock.steady_now() + kCommandTime;
  while (size < buffer.size()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock.steady_now()).count();
    pollfd waiting{.fd = read_end.get(), .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) == 0) {
      in_time = false;
      break;
    }
    const ssize_t n = ::read(read_end.get(), buffer.data() + size, buffer.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ClearText whole(std::move(buffer));
  ClearText out(std::string(whole.view().substr(0, size)));
  if (!in_time) return fail(ErrorCode::kTimeout, "the command for the master keys took longer than 30 seconds");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail(ErrorCode::kIo, fmt::format("the command for the master keys failed with status {}", status));
  }
  return out;
}

}  // namespace

MasterKeyPtr make_master_key(std::string bytes) {
  MAYFLY_ASSERT(bytes.size() == kKeyBytes);
  auto out = std::make_shared<MasterKey>();
  out->id = hex_encode(hmac_sha256(bytes, "mayfly master key id").substr(0, 8));
  out->key = ClearText(std::move(bytes));
  return out;
}

Result<MasterKeys> parse_master_keys(std::string_view text) {
  MasterKeys keys;
  while (!text.empty()) {
    const auto end = text.find_first_of("\n,");
    auto line = trim(text.substr(0, end));
    if (line.ends_with('\r')) line.remove_suffix(1);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    auto bytes = hex_decode(line);
    // The line is not quoted: it may be most of a key.
    if (!bytes || bytes->size() != kKeyBytes) {
      return fail(ErrorCode::kCorrupt, fmt::format("key {} is not 64 hex digits", keys.size() + 1));
    }
    keys.push_back(make_master_key(std::move(*bytes)));
    if (keys.size() > kMostKeys) return fail(ErrorCode::kTooLarge, "more than 32 keys");
  }
  if (keys.empty()) return fail(ErrorCode::kCorrupt, "no key");
  return keys;
}

std::string master_keys_text(const MasterKeys& keys) {
  std::string text;
  for (const auto& key : keys) text += hex_encode(key->key.view()) + "\n";
  return text;
}

Result<KeySource> KeySource::parse(std::string_view text, const std::filesystem::path& data) {
  const auto colon = text.find(':');
  const auto kind = text.substr(0, colon);
  std::string what(colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1));
  if (text == "file") return KeySource(Kind::kOwnFile, (data / kMasterKeysFile).string());
  if (kind == "file" && what.starts_with('/')) return KeySource(Kind::kFile, std::move(what));
  if (kind == "environment" && !what.empty()) return KeySource(Kind::kEnvironment, std::move(what));
  if (kind == "command" && !what.empty()) return KeySource(Kind::kCommand, std::move(what));
  return fail(ErrorCode::kInvalid, "must be file, file:/PATH, environment:NAME or command:SHELL COMMAND");
}

std::string KeySource::describe() const {
  switch (kind_) {
    case Kind::kOwnFile:
    case Kind::kFile:
      return what_;
    case Kind::kEnvironment:
      return "the environment variable " + what_;
    default:
      return "the command of secrets.master_keys";  // which may hold a password
  }
}

Result<MasterKeys> KeySource::load(Clock& clock) const {
  ClearText text;
  switch (kind_) {
    case Kind::kOwnFile:
    case Kind::kFile: {
      auto read = identity::read_private_file(what_);
      if (!read && read.error().code == ErrorCode::kNotFound && kind_ == Kind::kOwnFile) {
        MasterKeys keys;
        keys.push_back(make_master_key(random_bytes(kKeyBytes)));
        return replace(std::move(keys));
      }
      if (!read) return std::unexpected(std::move(read.error()));
      text = ClearText(std::move(*read));
      break;
    }
    case Kind::kEnvironment: {
      const char* value = std::getenv(what_.c_str());  // NOLINT(concurrency-mt-unsafe): nobody sets variables.
      if (value == nullptr) return std::unexpected(no_keys(describe(), "is not set"));
      text = ClearText(value);
      break;
    }
    case Kind::kCommand: {
      auto printed = run_command(what_, clock);
      if (!printed) return std::unexpected(std::move(printed.error()));
      text = std::move(*printed);
      break;
    }
  }
  auto keys = parse_master_keys(text.view());
  if (!keys) return std::unexpected(no_keys(describe(), keys.error().message));
  return keys;
}

Result<MasterKeys> KeySource::replace(MasterKeys keys) const {
  const ClearText text(master_keys_text(keys));
  if (auto written = identity::write_private_file(what_, std::string(text.view())); !written) {
    return std::unexpected(std::move(written.error()));
  }
  return keys;
}

Result<MasterKeys> KeySource::add_new(Clock& clock) const {
  if (kind_ != Kind::kOwnFile) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("the master keys come from {}: put the new key first there, and keep the old ones behind it",
                    describe()));
  }
  auto keys = load(clock);
  if (!keys) return keys;
  if (keys->size() == kMostKeys) return fail(ErrorCode::kTooLarge, "there are 32 master keys; forget the old ones");
  keys->insert(keys->begin(), make_master_key(random_bytes(kKeyBytes)));
  return replace(std::move(*keys));
}

Result<MasterKeys> KeySource::keep_first(Clock& clock) const {
  if (kind_ != Kind::kOwnFile) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("the master keys come from {}: take the old ones away there", describe()));
  }
  auto keys = load(clock);
  if (!keys) return keys;
  keys->resize(1);
  return replace(std::move(*keys));
}

}  // namespace mayfly::vault
