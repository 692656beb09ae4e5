// Known vulnerabilities, from a folder of OSV documents (as osv.dev publishes them for each ecosystem, unpacked).
// Source: the OSV schema 1.6, "affected", "ranges", "events" and the evaluation algorithm it describes.
//
// Operation.   A document is read when the folder is opened, indexed by ecosystem and package. A component is affected
// where its
//              version is listed, or lies in a range of its ecosystem; withdrawn documents are left out.
// Limits.      A document over kMostDocumentBytes, or one that is no OSV document, is counted as unread and not
// trusted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "scan/component.h"

namespace mayfly::scan {

inline constexpr std::uint64_t kMostDocumentBytes = 16ULL << 20;

struct Vulnerability {
  std::string id;                    // "GHSA-...", "PYSEC-...", "GO-..."
  std::vector<std::string> aliases;  // "CVE-..."
  std::string summary;
  std::string severity;  // "CRITICAL", "HIGH", "MODERATE", "LOW", or "" where the document has no word for it
  std::string fixed_in;  // the lowest version above the component's that is not affected; "" where none is known
};

class Advisories {
 public:
  // Blocks. kNotFound, kIo.
  static Result<Advisories> open(const std::filesystem::path& folder);
  // One document; false where it is not understood.
  bool add(std::string_view text);

  [[nodiscard]] std::vector<Vulnerability> of(const Component& component) const;
  [[nodiscard]] std::size_t documents() const { return documents_; }
  [[nodiscard]] std::size_t unread() const { return unread_; }

 private:
  struct Event {
    enum class Kind { kIntroduced, kFixed, kLastAffected, kLimit } kind = Kind::kIntroduced;
    std::string version;
  };
  struct Affected {
    std::shared_ptr<const Vulnerability> about;
    std::vector<std::string> versions;
    std::vector<std::vector<Event>> ranges;  // each in ascending order
  };
  static bool affects(const Affected& affected, const Component& component);
  static void add_event(const std::string& kind, std::string version, std::vector<Event>& out);

  std::map<std::pair<Ecosystem, std::string>, std::vector<Affected>> by_package_;
  std::size_t documents_ = 0;
  std::size_t unread_ = 0;
};

}  // namespace mayfly::scan
