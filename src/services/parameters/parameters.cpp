#include "services/parameters/parameters.h"

#include <fmt/core.h>

#include <algorithm>

#include "services/parameters/core.h"

namespace mayfly::parameters {
namespace {

constexpr std::string_view kArnStart = "arn:aws:ssm:";
constexpr std::size_t kMostTags = 50;

// "arn:aws:ssm:<region>:<account>:parameter/<name>"; nullopt where the text is none.
std::optional<Named> parse_arn(std::string_view text) {
  if (!text.starts_with(kArnStart)) return std::nullopt;
  text.remove_prefix(kArnStart.size());
  const auto region = text.find(':');
  const auto account = region == std::string_view::npos ? region : text.find(':', region + 1);
  if (account == std::string_view::npos) return std::nullopt;
  const auto resource = text.substr(account + 1);
  if (!resource.starts_with("parameter/")) return std::nullopt;
  Named out;
  out.place = {.account = std::string(text.substr(region + 1, account - region - 1)),
               .region = std::string(text.substr(0, region))};
  out.name = resource.substr(std::string_view("parameter").size());
  return out;
}

void split_selector(Named& named) {
  const auto colon = named.name.find(':');
  if (colon == std::string::npos) return;
  named.selector = named.name.substr(colon + 1);
  named.name.resize(colon);
}

}  // namespace

struct Parameters::Impl {
  Impl(store::KeyValue& store, const vault::Vault& vault, BlockingPool& pool, Clock& clock, ParametersSettings settings)
      : core(store, vault, pool, clock, std::move(settings)), service(wire::service()) {
    bind_changes(service, core);
    bind_reads(service, core);
    bind_lists(service, core);
    bind_labels(service, core);
    bind_tags(service, core);
  }
  Core core;
  aws::Service service;
};

Place Core::place(const aws::CallContext& context) const {
  Place out;
  out.account = context.principal.account.empty() ? settings.account : context.principal.account;
  out.region = context.region.empty() ? settings.region : context.region;
  return out;
}

std::unexpected<aws::ApiError> refuse_value(std::string message) {
  return refuse(aws::common_errors::ValidationException, std::move(message));
}

aws::ApiError parameter_missing() { return refuse(wire::errors::ParameterNotFound, "").error(); }

aws::ApiError version_missing(std::string_view name, std::string_view selector) {
  const bool number = std::ranges::all_of(selector, [](char c) { return c >= '0' && c <= '9'; });
  auto text = number ? fmt::format("Systems Manager could not find version {} of {}. Verify the version and try again.",
                                   selector, name)
                     : fmt::format("Systems Manager could not find label {} of {}. Verify the label and try again.",
                                   selector, name);
  return refuse(wire::errors::ParameterVersionNotFound, std::move(text)).error();
}

Named parse_name(const Core& core, const aws::CallContext& context, std::string_view text) {
  Named out;
  if (auto named = parse_arn(text)) {
    out = std::move(*named);
  } else {
    out.place = core.place(context);
    out.name = text;
  }
  split_selector(out);
  return out;
}

ParameterPtr find(const Core& core, const Named& named) {
  if (auto found = core.parameters.find(parameter_key(named.place, named.name))) return found;
  // Only ARNs gain a slash that the name may lack: "/plain" of an ARN is "plain".
  if (named.name.starts_with('/') && named.name.find('/', 1) == std::string::npos) {
    return core.parameters.find(parameter_key(named.place, std::string_view(named.name).substr(1)));
  }
  return nullptr;
}

aws::ApiResult<std::string> value_of(const Core& core, const Parameter& parameter, const Version& version,
                                     bool decrypted) {
  if (!parameter.is_secure() || !decrypted) return version.value;
  auto opened = core.vault.open(parameter.context(version.number), version.value);
  if (opened) return std::string(opened->view());
  log(Level::kError, "a parameter cannot be decrypted",
      {{"parameter", parameter.arn()}, {"version", version.number}, {"error", opened.error().message}});
  return refuse(wire::errors::InvalidKeyId,
                fmt::format("The value of {} cannot be decrypted: {}.", parameter.name, opened.error().message));
}

aws::ApiResult<void> set_tags(Parameter& parameter, const std::vector<wire::Tag>& tags) {
  for (const auto& tag : tags) {
    const auto name = tag.Key.value_or("");
    if (name.starts_with("aws:")) return refuse_value("Tag keys can't begin with aws:.");
    const auto found = std::ranges::find(parameter.tags, name, &std::pair<std::string, std::string>::first);
    if (found == parameter.tags.end()) {
      parameter.tags.emplace_back(name, tag.Value.value_or(""));
    } else {
      found->second = tag.Value.value_or("");
    }
  }
  if (parameter.tags.size() > kMostTags) {
    return refuse(wire::errors::TooManyTagsError, fmt::format("A parameter can have at most {} tags.", kMostTags));
  }
  return {};
}

Parameters::Parameters(store::KeyValue& store, const vault::Vault& vault, BlockingPool& pool, Clock& clock,
                       ParametersSettings settings)
    : impl_(std::make_unique<Impl>(store, vault, pool, clock, std::move(settings))) {}

Parameters::~Parameters() = default;

Awaitable<Result<void>> Parameters::load() { return impl_->core.parameters.load(); }

aws::Service& Parameters::service() { return impl_->service; }

std::string Parameters::arn_of(const aws::CallContext& context, std::string_view name) const {
  auto named = parse_name(impl_->core, context, name);
  while (named.name.size() > 1 && named.name.ends_with('/')) named.name.pop_back();  // a path
  return parameter_arn(named.place, named.name);
}

std::vector<std::pair<std::string, std::string>> Parameters::tags(std::string_view arn) const {
  const auto named = parse_arn(arn);
  const auto found = named ? find(impl_->core, *named) : nullptr;
  if (!found) return {};
  return found->tags;
}

}  // namespace mayfly::parameters
