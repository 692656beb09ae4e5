// `mayfly secret` and `mayfly parameter`: values come from standard input or a prompt and never from an argument, which
// other users of the machine could read.
#include <fmt/core.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <map>

#include "base/encoding.h"
#include "base/time_format.h"
#include "cli/commands.h"

namespace mayfly::cli {
namespace {

constexpr std::size_t kMostBytes = 65'536;

Result<json::value> call_json(const Connection& connection, std::string_view service, std::string_view prefix,
                              std::string_view operation, const json::object& request) {
  Call call;
  call.method = "POST";
  call.target = "/";
  call.body = to_json(request);
  call.headers = {{"Content-Type", "application/x-amz-json-1.1"},
                  {"X-Amz-Target", fmt::format("{}.{}", prefix, operation)}};
  call.service = service;
  return send_json(connection, call);
}

Result<json::value> secrets(const Connection& connection, std::string_view operation, const json::object& request) {
  return call_json(connection, "secretsmanager", "secretsmanager", operation, request);
}

Result<json::value> parameters(const Connection& connection, std::string_view operation, const json::object& request) {
  return call_json(connection, "ssm", "AmazonSSM", operation, request);
}

// One line from the terminal, which does not show it meanwhile.
Result<std::string> prompt(std::string_view what) {
  termios before{};
  if (::tcgetattr(STDIN_FILENO, &before) != 0) return fail_errno("the terminal");
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  fmt::print(stderr, "{}: ", what);
  std::fflush(stderr);
  if (::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0) return fail_errno("the terminal");
  std::string line;
  const bool read = static_cast<bool>(std::getline(std::cin, line));
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  fmt::print(stderr, "\n");
  if (!read) return fail(ErrorCode::kCancelled, "nothing was entered");
  return line;
}

Result<std::string> read_value() {
  if (::isatty(STDIN_FILENO) == 1) {
    auto first = prompt("Value");
    if (!first) return first;
    const auto second = prompt("Again");
    if (!second) return second;
    if (*first != *second) return fail(ErrorCode::kInvalid, "the two values differ; nothing was changed");
    return first;
  }
  std::string text((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  if (text.size() > kMostBytes + 1) {
    return fail(ErrorCode::kTooLarge, fmt::format("a value can have at most {} bytes", kMostBytes));
  }
  if (text.ends_with('\n')) text.pop_back();  // that of echo and of editors
  return text;
}

std::string time_text(const json::value& object, std::string_view key) {
  const auto* value = find(object, key);
  if (value == nullptr || !value->is_number()) return "-";
  return iso8601_millis(from_epoch_seconds(value->to_number<double>()));
}

// All pages of a list, the items of `member`.
Result<json::array> all_pages(const Connection& connection, std::string_view operation, json::object request,
                              std::string_view member, decltype(secrets)* call) {
  json::array all;
  for (;;) {
    const auto page = call(connection, operation, request);
    if (!page) return std::unexpected(page.error());
    if (const auto* items = find(*page, member); items != nullptr && items->is_array()) {
      all.insert(all.end(), items->get_array().begin(), items->get_array().end());
    }
    const auto next = get_string(*page, "NextToken");
    if (next.empty()) return all;
    request["NextToken"] = next;
  }
}

bool confirmed(std::string_view question) {
  if (::isatty(STDIN_FILENO) != 1) return false;
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  std::string answer;
  return std::getline(std::cin, answer) && (answer == "y" || answer == "yes");
}

int shown(const Output& out, const Result<json::value>& answer, std::string_view line) {
  if (!answer) return out.failure(answer.error());
  if (out.json) {
    out.value(*answer);
  } else {
    out.line(line);
  }
  return 0;
}

}  // namespace

int secret_set(const Output& out, const ConnectionOptions& options, const SecretOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto value = read_value();
  if (!value) return out.failure(value.error());
  json::object request;
  request["SecretId"] = what.name;
  request["SecretString"] = *value;
  auto answer = secrets(*connection, "PutSecretValue", request);
  if (!answer && answer.error().message.find("ResourceNotFoundException") != std::string::npos) {
    request.erase("SecretId");
    request["Name"] = what.name;
    if (!what.description.empty()) request["Description"] = what.description;
    answer = secrets(*connection, "CreateSecret", request);
  }
  return shown(out, answer, fmt::format("{} is set", what.name));
}

int secret_get(const Output& out, const ConnectionOptions& options, const SecretOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  json::object request;
  request["SecretId"] = what.name;
  if (!what.stage.empty()) request["VersionStage"] = what.stage;
  const auto answer = secrets(*connection, "GetSecretValue", request);
  if (!answer) return out.failure(answer.error());
  if (out.json) {
    out.value(*answer);
    return 0;
  }
  if (const auto* bytes = find(*answer, "SecretBinary"); bytes != nullptr && bytes->is_string()) {
    const auto decoded = base64_decode(std::string_view(bytes->get_string())).value_or("");
    return std::fwrite(decoded.data(), 1, decoded.size(), stdout) == decoded.size() ? 0 : 1;
  }
  out.line(std::string(get_string(*answer, "SecretString")));
  return 0;
}

int secret_list(const Output& out, const ConnectionOptions& options) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  json::object request;
  request["IncludePlannedDeletion"] = true;
  request["SortBy"] = "name";
  request["SortOrder"] = "asc";
  const auto all = all_pages(*connection, "ListSecrets", std::move(request), "SecretList", secrets);
  if (!all) return out.failure(all.error());
  if (out.json) {
    out.value(*all);
    return 0;
  }
  if (all->empty()) {
    out.note("no secrets yet; mayfly secret set NAME makes one");
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& one : *all) {
    const bool leaving = find(one, "DeletedDate") != nullptr;
    rows.push_back({std::string(get_string(one, "Name")), time_text(one, "LastChangedDate"),
                    leaving ? "being deleted" : time_text(one, "NextRotationDate"),
                    std::string(get_string(one, "Description"))});
  }
  out.table({"NAME", "CHANGED", "ROTATES", "DESCRIPTION"}, rows);
  return 0;
}

int secret_remove(const Output& out, const ConnectionOptions& options, const SecretOptions& what) {
  if (!what.yes && !confirmed(fmt::format("Delete the secret {}?", what.name))) {
    out.note("nothing was deleted; say -y to delete without being asked");
    return 1;
  }
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  json::object request;
  request["SecretId"] = what.name;
  if (what.now) request["ForceDeleteWithoutRecovery"] = true;
  const auto answer = secrets(*connection, "DeleteSecret", request);
  return shown(
      out, answer,
      what.now ? fmt::format("{} is deleted", what.name)
               : fmt::format("{} is deleted in 30 days; aws secretsmanager restore-secret brings it back", what.name));
}

int parameter_set(const Output& out, const ConnectionOptions& options, const ParameterOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto value = read_value();
  if (!value) return out.failure(value.error());
  json::object request;
  request["Name"] = what.name;
  request["Value"] = *value;
  request["Type"] = what.type;
  request["Overwrite"] = true;
  const auto answer = parameters(*connection, "PutParameter", request);
  return shown(out, answer, fmt::format("{} is set", what.name));
}

int parameter_get(const Output& out, const ConnectionOptions& options, const ParameterOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  json::object request;
  request["Name"] = what.name;
  request["WithDecryption"] = true;
  const auto answer = parameters(*connection, "GetParameter", request);
  if (!answer) return out.failure(answer.error());
  if (out.json) {
    out.value(*answer);
  } else if (const auto* parameter = find(*answer, "Parameter")) {
    out.line(std::string(get_string(*parameter, "Value")));
  }
  return 0;
}

int parameter_list(const Output& out, const ConnectionOptions& options, const ParameterOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  json::object request;
  if (!what.name.empty()) {
    request["ParameterFilters"] =
        json::array{json::object{{"Key", "Path"}, {"Option", "Recursive"}, {"Values", json::array{what.name}}}};
  }
  const auto all = all_pages(*connection, "DescribeParameters", std::move(request), "Parameters", parameters);
  if (!all) return out.failure(all.error());
  if (out.json) {
    out.value(*all);
    return 0;
  }
  if (all->empty()) {
    out.note("no parameters; mayfly parameter set NAME makes one");
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& one : *all) {
    rows.push_back({std::string(get_string(one, "Name")), std::string(get_string(one, "Type")),
                    std::to_string(get_int(one, "Version")), time_text(one, "LastModifiedDate")});
  }
  out.table({"NAME", "TYPE", "VERSION", "CHANGED"}, rows);
  return 0;
}

int parameter_remove(const Output& out, const ConnectionOptions& options, const ParameterOptions& what) {
  if (!what.yes && !confirmed(fmt::format("Delete the parameter {}?", what.name))) {
    out.note("nothing was deleted; say -y to delete without being asked");
    return 1;
  }
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  json::object request;
  request["Name"] = what.name;
  return shown(out, parameters(*connection, "DeleteParameter", request), fmt::format("{} is deleted", what.name));
}

namespace {

Result<json::value> keys_call(const Connection& connection, std::string_view method, std::string_view rest) {
  Call call;
  call.method = method;
  call.target = fmt::format("/_mayfly/master-keys{}", rest);
  call.service = "mayfly";
  return send_json(connection, call);
}

struct Sweep {
  std::int64_t values = 0;
  std::int64_t rewrapped = 0;
  std::map<std::string, std::int64_t> other;
};

// Every step over the store, with a line for people after each.
Result<Sweep> sweep(const Output& out, const Connection& connection, bool count_only) {
  Sweep sum;
  std::int64_t records = 0;
  std::string after;
  do {
    const auto step = keys_call(
        connection, "POST",
        fmt::format("/rewrap?after={}{}", percent_encode(after, Slash::kEncode), count_only ? "&count=1" : ""));
    if (!step) return std::unexpected(step.error());
    records += get_int(*step, "Records");
    sum.values += get_int(*step, "Values");
    sum.rewrapped += get_int(*step, "Rewrapped");
    if (const auto* other = find(*step, "Other"); other != nullptr && other->is_object()) {
      for (const auto& member : other->get_object())
        sum.other[member.key()] += member.value().to_number<std::int64_t>();
    }
    if (!count_only) {
      out.progress(fmt::format("{} records read, {} of {} values wrapped again", records, sum.rewrapped, sum.values));
    }
    after = get_string(*step, "Next");
  } while (!after.empty());
  return sum;
}

json::object sweep_json(const Sweep& sum) {
  json::object other;
  for (const auto& [id, count] : sum.other) other[id] = count;
  json::object out;
  out["Values"] = sum.values;
  out["Rewrapped"] = sum.rewrapped;
  out["Other"] = std::move(other);
  return out;
}

}  // namespace

int secret_keys(const Output& out, const ConnectionOptions& options) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  auto keys = keys_call(*connection, "GET", "");
  if (!keys) return out.failure(keys.error());
  const auto sum = sweep(out, *connection, true);
  if (!sum) return out.failure(sum.error());
  if (out.json) {
    json::object all = keys->get_object();
    for (auto& member : sweep_json(*sum)) all[member.key()] = member.value();
    out.value(all);
    return 0;
  }
  const auto current = get_string(*keys, "Current");
  std::int64_t others = 0;
  for (const auto& [id, count] : sum->other) others += count;
  out.line(fmt::format("from {}", get_string(*keys, "Source")));
  std::vector<std::vector<std::string>> rows;
  rows.push_back({std::string(current), "writes and reads", std::to_string(sum->values - others)});
  if (const auto* ids = find(*keys, "Keys"); ids != nullptr && ids->is_array()) {
    for (const auto& id : ids->get_array()) {
      const std::string text(id.get_string());
      if (text == current) continue;
      const auto count = sum->other.find(text);
      rows.push_back({text, "reads", std::to_string(count == sum->other.end() ? 0 : count->second)});
    }
  }
  for (const auto& [id, count] : sum->other) {
    const bool listed = std::ranges::any_of(rows, [&](const auto& row) { return row[0] == id; });
    if (!listed) rows.push_back({id, out.red("missing"), std::to_string(count)});
  }
  out.table({"KEY", "USE", "VALUES"}, rows);
  return 0;
}

int secret_rewrap(const Output& out, const ConnectionOptions& options, const KeyOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  const auto keys = keys_call(*connection, "POST", what.rotate ? "/rotate" : "/reload");
  if (!keys) return out.failure(keys.error());
  const auto sum = sweep(out, *connection, false);
  if (!sum) return out.failure(sum.error());
  if (what.forget) {
    if (const auto forgotten = keys_call(*connection, "POST", "/forget"); !forgotten) {
      return out.failure(forgotten.error());
    }
  }
  if (out.json) {
    out.value(sweep_json(*sum));
  } else {
    out.line(fmt::format("{} of {} values are now under the key {}", sum->rewrapped, sum->values,
                         get_string(*keys, "Current")));
    for (const auto& [id, count] : sum->other) {
      out.note(fmt::format("{} values need the key {}, which the server does not have", count, id));
    }
  }
  return sum->other.empty() ? 0 : 1;
}

}  // namespace mayfly::cli
