#include "app/secret_rights.h"

#include <fmt/core.h>

namespace mayfly::app {
namespace {

std::string_view text_of(const json::object& request, std::string_view member) {
  const auto* value = request.if_contains(member);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

}  // namespace

void add_secret_rights(Authorizer& authorizer, const secrets::Secrets& secrets,
                       const parameters::Parameters& parameters) {
  const auto named = [&secrets](std::string_view member) {
    return [&secrets, member](const aws::CallContext& context, const json::object& request) {
      const auto id = text_of(request, member);
      // Without one (ValidateResourcePolicy may have none) the request is about every secret.
      std::vector<std::string> out;
      out.push_back(id.empty() ? std::string("*") : secrets.arn_of(context, id));
      return out;
    };
  };
  authorizer.add_names("secret", named("SecretId"));
  authorizer.add_names("new-secret", named("Name"));
  authorizer.add_resource_policies("secretsmanager",
                                   [&secrets](std::string_view arn) { return secrets.resource_policy(arn); });
  authorizer.add_resource_tags("secretsmanager", [&secrets](std::string_view arn) { return secrets.tags(arn); });
  for (const std::string_view member : {"Name", "Path", "ResourceId"}) {
    authorizer.add_names(fmt::format("parameter:{}", member),
                         [&parameters, member](const aws::CallContext& context, const json::object& request) {
                           std::vector<std::string> out;
                           out.push_back(parameters.arn_of(context, text_of(request, member)));
                           return out;
                         });
  }
  authorizer.add_names("parameters:Names", [&parameters](const aws::CallContext& context, const json::object& request) {
    std::vector<std::string> out;
    if (const auto* names = request.if_contains("Names"); names != nullptr && names->is_array()) {
      for (const auto& name : names->get_array()) {
        if (name.is_string()) out.push_back(parameters.arn_of(context, std::string_view(name.get_string())));
      }
    }
    if (out.empty()) out.push_back(parameters.arn_of(context, ""));
    return out;
  });
  authorizer.add_resource_tags("ssm", [&parameters](std::string_view arn) { return parameters.tags(arn); });
}

}  // namespace mayfly::app
