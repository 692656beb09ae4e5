// Archives: create, describe, list, update, delete.
#include <fmt/core.h>

#include "base/ids.h"
#include "services/events/core.h"

namespace mayfly::events {
namespace {

aws::ApiError archive_missing(std::string_view name) {
  return error_of(wire::errors::ResourceNotFoundException, fmt::format("Archive {} does not exist.", name));
}

std::string state_of(const ArchiveFill& fill) { return fill.full ? "DISABLED" : "ENABLED"; }

std::optional<std::string> reason_of(const ArchiveFill& fill) {
  if (!fill.full) return std::nullopt;
  return fmt::format("The archive is full: it holds at most {} bytes.", ArchiveStore::kMostBytes);
}

aws::ApiResult<void> check_archive(const std::optional<std::string>& pattern, const std::optional<std::string>& key) {
  if (key && !key->empty())
    return refuse_unsupported("KmsKeyIdentifier", "archives are not encrypted with keys of one's own");
  if (!pattern || pattern->empty()) return {};
  if (const auto parsed = pattern::Pattern::parse(*pattern); !parsed)
    return refuse(wire::errors::InvalidEventPatternException,
                  "Event pattern is not valid. Reason: " + parsed.error().message);
  return {};
}

Awaitable<aws::ApiResult<wire::CreateArchiveResponse>> create_archive(Core& core, const aws::CallContext& context,
                                                                      wire::CreateArchiveRequest request) {
  const auto source = request.EventSourceArn.value_or("");
  const auto bus = source.starts_with("arn:") ? find_bus(core, core.place(context), source) : nullptr;
  if (!bus) co_return std::unexpected(bus_missing(bus_name(source)));
  auto checked = check_archive(request.EventPattern, request.KmsKeyIdentifier);
  if (!checked) co_return std::unexpected(std::move(checked.error()));
  ArchiveRecord archive;
  archive.place = core.place(context);
  archive.name = request.ArchiveName.value_or("");
  archive.generation = random_hex(12);
  archive.bus = bus->name;
  archive.description = request.Description.value_or("");
  archive.pattern = request.EventPattern.value_or("");
  archive.retention_days = request.RetentionDays.value_or(0);
  archive.created = core.now();
  const std::string name = archive.name;
  auto created = co_await core.archives.create(std::move(archive));
  if (!created && created.error().code == ErrorCode::kExists)
    co_return refuse(wire::errors::ResourceAlreadyExistsException, fmt::format("Archive {} already exists.", name));
  if (!created) co_return refuse_internal(created.error());
  wire::CreateArchiveResponse response;
  response.ArchiveArn = (*created)->arn();
  response.State = "ENABLED";
  response.CreationTime = (*created)->created;
  co_return response;
}

Awaitable<aws::ApiResult<wire::DescribeArchiveResponse>> describe_archive(Core& core, const aws::CallContext& context,
                                                                          wire::DescribeArchiveRequest request) {
  const auto name = request.ArchiveName.value_or("");
  const auto archive = core.archives.find(place_key(ArchiveRecord::kPrefix, core.place(context), name));
  if (!archive) co_return std::unexpected(archive_missing(name));
  const auto fill = core.archived.fill_of(*archive);
  wire::DescribeArchiveResponse response;
  response.ArchiveArn = archive->arn();
  response.ArchiveName = archive->name;
  response.EventSourceArn = events_arn(archive->place, "event-bus/" + archive->bus);
  response.Description = some(archive->description);
  response.EventPattern = some(archive->pattern);
  response.State = state_of(fill);
  response.StateReason = reason_of(fill);
  response.RetentionDays = archive->retention_days;
  response.SizeBytes = static_cast<std::int64_t>(fill.bytes);
  response.EventCount = static_cast<std::int64_t>(fill.events);
  response.CreationTime = archive->created;
  co_return response;
}

Awaitable<aws::ApiResult<wire::ListArchivesResponse>> list_archives(Core& core, const aws::CallContext& context,
                                                                    wire::ListArchivesRequest request) {
  const auto place = core.place(context);
  std::string source;
  if (request.EventSourceArn) {
    const auto bus = find_bus(core, place, *request.EventSourceArn);
    if (!bus) co_return std::unexpected(bus_missing(bus_name(*request.EventSourceArn)));
    source = bus->name;
  }
  auto all = core.archives.list(place_key(ArchiveRecord::kPrefix, place, request.NamePrefix.value_or("")));
  std::erase_if(all, [&](const ArchivePtr& archive) {
    return (!source.empty() && archive->bus != source) ||
           (request.State && *request.State != state_of(core.archived.fill_of(*archive)));
  });
  const auto name_of = [](const ArchivePtr& archive) { return archive->name; };
  auto [page, next] =
      services::page_of(std::move(all), name_of, decode_token(request.NextToken), page_limit(request.Limit));
  wire::ListArchivesResponse response;
  response.Archives.emplace();
  for (const auto& archive : page) {
    const auto fill = core.archived.fill_of(*archive);
    wire::Archive& shown = response.Archives->emplace_back();
    shown.ArchiveName = archive->name;
    shown.EventSourceArn = events_arn(archive->place, "event-bus/" + archive->bus);
    shown.State = state_of(fill);
    shown.StateReason = reason_of(fill);
    shown.RetentionDays = archive->retention_days;
    shown.SizeBytes = static_cast<std::int64_t>(fill.bytes);
    shown.EventCount = static_cast<std::int64_t>(fill.events);
    shown.CreationTime = archive->created;
  }
  response.NextToken = encode_token(next);
  co_return response;
}

Awaitable<aws::ApiResult<wire::UpdateArchiveResponse>> update_archive(Core& core, const aws::CallContext& context,
                                                                      wire::UpdateArchiveRequest request) {
  if (!request.EventPattern && !request.RetentionDays && !request.Description)
    co_return refuse_validation("At least one of EventPattern, RetentionDays or Description must be provided.");
  auto checked = check_archive(request.EventPattern, request.KmsKeyIdentifier);
  if (!checked) co_return std::unexpected(std::move(checked.error()));
  const auto name = request.ArchiveName.value_or("");
  ArchiveTable::Edit edit = [&request](ArchiveRecord& archive) -> aws::ApiResult<void> {
    if (request.Description) archive.description = *request.Description;
    if (request.EventPattern) archive.pattern = *request.EventPattern;
    if (request.RetentionDays) archive.retention_days = *request.RetentionDays;
    return {};
  };
  auto missing = archive_missing(name);
  auto key = place_key(ArchiveRecord::kPrefix, core.place(context), name);
  auto changed = co_await core.archives.change(std::move(key), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  const auto fill = core.archived.fill_of(**changed);
  wire::UpdateArchiveResponse response;
  response.ArchiveArn = (*changed)->arn();
  response.State = state_of(fill);
  response.StateReason = reason_of(fill);
  response.CreationTime = (*changed)->created;
  co_return response;
}

Awaitable<aws::ApiResult<wire::DeleteArchiveResponse>> delete_archive(Core& core, const aws::CallContext& context,
                                                                      wire::DeleteArchiveRequest request) {
  const auto name = request.ArchiveName.value_or("");
  auto erased = co_await core.archives.erase(place_key(ArchiveRecord::kPrefix, core.place(context), name));
  if (!erased) co_return refuse_internal(erased.error());
  if (!*erased) co_return std::unexpected(archive_missing(name));
  co_return wire::DeleteArchiveResponse();  // its events go with the next sweep
}

}  // namespace

void bind_archives(aws::Service& service, Core& core) {
  bind<wire::CreateArchive>(service, core, create_archive);
  bind<wire::DescribeArchive>(service, core, describe_archive);
  bind<wire::ListArchives>(service, core, list_archives);
  bind<wire::UpdateArchive>(service, core, update_archive);
  bind<wire::DeleteArchive>(service, core, delete_archive);
}

}  // namespace mayfly::events
