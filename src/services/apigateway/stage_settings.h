// A stage's settings: what a new one has, and those of its methods, which are patched by paths like
// "/~1pets~1{id}/GET/throttling/rateLimit" and "/*/*/caching/enabled".
#pragma once

#include <string>
#include <string_view>

#include "services/apigateway/core.h"

namespace mayfly::apigateway {

wire::Stage new_stage(const std::string& name, double now);

// What is shown of a stage's cache follows from whether it has one.
void settle_cache(wire::Stage& stage);

// Whether the path is a method's setting.
bool is_method_setting(std::string_view path);
aws::ApiResult<void> patch_method_setting(wire::Stage& stage, const wire::PatchOperation& patch);

// The settings of a method of the resource at this path; null where it has none of its own.
const wire::MethodSetting* settings_of(const wire::Stage& stage, std::string_view path, std::string_view method);
const wire::MethodSetting* settings_of_all(const wire::Stage& stage);

}  // namespace mayfly::apigateway
