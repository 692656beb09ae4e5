// Feeds arbitrary bytes to what REST APIs are made of: documents, key files, paths of patches, sources of identity.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "services/apigateway/identity_source.h"
#include "services/apigateway/key_file.h"
#include "services/apigateway/key_records.h"
#include "services/apigateway/open_api.h"
#include "services/apigateway/stage_settings.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::apigateway;
  // SAFETY: the fuzzer's bytes as characters.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Configuration base;
  wire::Resource root;
  root.id = "root";
  root.path = "/";
  base.resources["root"] = std::move(root);
  std::ignore = read_open_api(text, std::move(base));
  std::ignore = read_key_file(text);
  std::ignore = read_usage(text, text);
  std::ignore = identity_sources(text);
  wire::Stage stage;
  wire::PatchOperation patch;
  patch.op = "replace";
  patch.path = std::string(text);
  patch.value = "1";
  if (is_method_setting(text)) std::ignore = patch_method_setting(stage, patch);
  return 0;
}
