// HTTP messages as plain values, free of Beast.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mayfly::http {

// Header fields in order; names compare without case; a name may repeat.
class Headers {
 public:
  [[nodiscard]] const std::string* find(std::string_view name) const;  // the first, or null
  [[nodiscard]] std::string_view get(std::string_view name) const;     // the first, or ""
  // Whether a comma-separated field, in any of its lines, lists `element` in whatever case.
  [[nodiscard]] bool lists(std::string_view name, std::string_view element) const;
  void add(std::string name, std::string value);
  void set(std::string name, std::string value);  // replaces all of that name
  void erase(std::string_view name);
  [[nodiscard]] auto begin() const { return fields_.begin(); }
  [[nodiscard]] auto end() const { return fields_.end(); }
  [[nodiscard]] std::size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct RequestHead {
  std::string method;
  std::string target;  // origin form as received: path and query, still escaped
  Headers headers;

  [[nodiscard]] std::string_view path() const;   // up to '?', still escaped
  [[nodiscard]] std::string_view query() const;  // after '?', or ""
};

struct ResponseHead {
  int status = 200;
  Headers headers;  // Content-Length, Transfer-Encoding, Connection and Date are the server's to write
};

struct Response {
  ResponseHead head;
  std::string body;
};

std::string_view reason_phrase(int status);
// The address of "127.0.0.1:4711", "[::1]:4711" or "[::ffff:127.0.0.1]:4711".
std::string_view address_of(std::string_view peer);

}  // namespace mayfly::http
