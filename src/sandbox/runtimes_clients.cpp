// Holds the bytes of clients/ in the binary. The assembler's .incbin is used rather than #embed because ccache does not
// know #embed and would serve an object with an older client; of .incbin it knows, and it does not cache such a unit.
#include "sandbox/runtimes_clients.h"

#include <cstddef>

#ifndef MAYFLY_CLIENTS_DIRECTORY
#error "MAYFLY_CLIENTS_DIRECTORY is set for this file in src/sandbox/CMakeLists.txt"
#endif

// NOLINTBEGIN(cppcoreguidelines-macro-usage,bugprone-macro-parentheses): declares symbols whose bytes an assembler
// adds.
#define MAYFLY_CLIENT(symbol, path)                                       \
  asm(".pushsection .rodata\n"                                            \
      ".global mayfly_client_" #symbol "\n.global mayfly_client_" #symbol \
      "_end\n"                                                            \
      "mayfly_client_" #symbol                                            \
      ":\n"                                                               \
      ".incbin \"" MAYFLY_CLIENTS_DIRECTORY "/" path                      \
      "\"\n"                                                              \
      "mayfly_client_" #symbol                                            \
      "_end:\n.byte 0\n"                                                  \
      ".popsection\n");                                                   \
  extern "C" const char mayfly_client_##symbol[];                         \
  extern "C" const char mayfly_client_##symbol##_end[];

#define MAYFLY_CLIENT_VIEW(symbol)                                                                          \
  std::string_view {                                                                                        \
    mayfly_client_##symbol, static_cast<std::size_t>(mayfly_client_##symbol##_end - mayfly_client_##symbol) \
  }
// NOLINTEND(cppcoreguidelines-macro-usage,bugprone-macro-parentheses)

MAYFLY_CLIENT(bootstrap_py, "python/bootstrap.py")
MAYFLY_CLIENT(lambda_client_py, "python/lambda_client.py")
MAYFLY_CLIENT(lambda_json_py, "python/lambda_json.py")
MAYFLY_CLIENT(snapshot_restore_py, "python/snapshot_restore_py.py")
MAYFLY_CLIENT(index_mjs, "nodejs/index.mjs")
MAYFLY_CLIENT(code_cache_mjs, "nodejs/code_cache.mjs")
MAYFLY_CLIENT(console_mjs, "nodejs/console.mjs")
MAYFLY_CLIENT(errors_mjs, "nodejs/errors.mjs")
MAYFLY_CLIENT(handler_mjs, "nodejs/handler.mjs")
MAYFLY_CLIENT(response_stream_mjs, "nodejs/response_stream.mjs")
MAYFLY_CLIENT(runtime_api_mjs, "nodejs/runtime_api.mjs")
MAYFLY_CLIENT(warm_cjs, "nodejs/warm.cjs")

namespace mayfly::sandbox {

const std::array<ClientFile, kClientFileCount>& client_files() {
  static const std::array<ClientFile, kClientFileCount> files = {{
      {"bootstrap.py", MAYFLY_CLIENT_VIEW(bootstrap_py)},
      {"lambda_client.py", MAYFLY_CLIENT_VIEW(lambda_client_py)},
      {"lambda_json.py", MAYFLY_CLIENT_VIEW(lambda_json_py)},
      {"snapshot_restore_py.py", MAYFLY_CLIENT_VIEW(snapshot_restore_py)},
      {"index.mjs", MAYFLY_CLIENT_VIEW(index_mjs)},
      {"code_cache.mjs", MAYFLY_CLIENT_VIEW(code_cache_mjs)},
      {"console.mjs", MAYFLY_CLIENT_VIEW(console_mjs)},
      {"errors.mjs", MAYFLY_CLIENT_VIEW(errors_mjs)},
      {"handler.mjs", MAYFLY_CLIENT_VIEW(handler_mjs)},
      {"response_stream.mjs", MAYFLY_CLIENT_VIEW(response_stream_mjs)},
      {"runtime_api.mjs", MAYFLY_CLIENT_VIEW(runtime_api_mjs)},
      {"warm.cjs", MAYFLY_CLIENT_VIEW(warm_cjs)},
  }};
  return files;
}

}  // namespace mayfly::sandbox
