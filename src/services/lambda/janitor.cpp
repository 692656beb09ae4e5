#include "services/lambda/janitor.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <vector>

#include "base/log.h"
#include "services/lambda/core.h"

namespace mayfly::lambda {
namespace {

constexpr std::chrono::hours kSweepEvery{1};

// The packages that are there: unpacked, stored, or both.
Awaitable<Result<std::set<std::string>>> present(Core& core) {
  auto blobs = co_await core.blobs.list();
  if (!blobs) co_return std::unexpected(std::move(blobs.error()));
  std::set<std::string> out;
  for (const auto& blob : *blobs) out.insert(blob.str());
  const auto folder = core.settings.code_directory;
  std::function<Result<std::set<std::string>>()> work = [folder, out]() mutable -> Result<std::set<std::string>> {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      const auto name = entry.path().filename().string();
      if (!name.starts_with('.')) out.insert(name);
    }
    if (error) return fail(ErrorCode::kIo, "listing the folder for code: " + error.message());
    return std::move(out);
  };
  co_return co_await core.pool.run<std::set<std::string>>(std::move(work));
}

Awaitable<Result<void>> remove_package(Core& core, std::string sha) {
  // Out of the way in one step, so that nobody finds half of it.
  const std::filesystem::path folder = core.settings.code_directory;
  std::function<Result<void>()> work = [folder, sha]() -> Result<void> {
    std::error_code error;
    const auto aside = folder / (".removing-" + sha);
    std::filesystem::rename(folder / sha, aside, error);
    std::filesystem::remove_all(aside, error);
    if (error) return fail(ErrorCode::kIo, "removing an unused package: " + error.message());
    return {};
  };
  auto done = co_await core.pool.run<void>(std::move(work));
  if (!done) co_return done;
  store::BlobId id(sha);
  co_return co_await core.blobs.remove(std::move(id));
}

std::set<std::string> in_use(const Core& core) {
  auto list = core.tables.code_in_use();
  return {std::make_move_iterator(list.begin()), std::make_move_iterator(list.end())};
}

}  // namespace

Awaitable<Result<void>> Janitor::sweep(Core& core, Patience patience) {
  auto there = co_await present(core);
  if (!there) co_return std::unexpected(std::move(there.error()));
  const auto used = in_use(core);
  std::set<std::string> unused;
  std::ranges::set_difference(*there, used, std::inserter(unused, unused.end()));
  std::size_t removed = 0;
  for (const auto& sha : unused) {
    if (patience == Patience::kOneRound && !unused_before_.contains(sha)) continue;
    if (!core.packages.claim_for_removal(sha)) continue;
    // Whoever held it until just now has written its record.
    Result<void> done;
    if (const auto list = core.tables.code_in_use(); !std::ranges::binary_search(list, sha)) {
      done = co_await remove_package(core, sha);
      removed += done ? 1U : 0U;
    }
    core.packages.removed(sha);
    if (!done && done.error().code != ErrorCode::kNotFound) co_return done;
  }
  unused_before_ = std::move(unused);
  if (removed > 0)
    log(Level::kInfo, "packages that no function uses were removed", {{"packages", std::to_string(removed)}});
  co_return Result<void>();
}

Awaitable<void> Janitor::run(Core& core) {
  while (!stopping_) {
    const SteadyTime deadline = core.clock.steady_now() + kSweepEvery;
    const bool woken = co_await stopped_.wait_until(core.clock, deadline);
    if (woken || stopping_) co_return;
    auto done = co_await sweep(core, Patience::kOneRound);
    if (!done) log(Level::kWarn, "unused packages could not be removed", {{"error", done.error().message}});
  }
}

void Janitor::stop() {
  stopping_ = true;
  stopped_.notify();
}

}  // namespace mayfly::lambda
