// `mayfly iam explain`: what would be decided, and by which statement of which policy.
#include <fmt/core.h>

#include "base/encoding.h"
#include "cli/commands.h"

namespace mayfly::cli {

int explain(const Output& out, const ConnectionOptions& options, const ExplainOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto escaped = [](const std::string& text) { return percent_encode(text, Slash::kEncode); };
  const Call call{.target = fmt::format("/_mayfly/explain?principal={}&action={}&resource={}", escaped(what.principal),
                                        escaped(what.action), escaped(what.resource)),
                  .service = "mayfly"};
  const auto answer = send_json(*connection, call);
  if (!answer) return out.failure(answer.error());
  if (out.json) {
    out.value(*answer);
  } else {
    out.line(std::string(get_string(*answer, "Explanation")));
  }
  return get_bool(*answer, "Allowed", false) ? 0 : 1;
}

}  // namespace mayfly::cli
