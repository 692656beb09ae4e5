// Versions, what files tell of dependencies, OSV's evaluation, credentials, and whole packages.
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "base/ids.h"
#include "scan/go_build_info.h"
#include "scan/inventory.h"
#include "scan/scanner.h"
#include "scan/version.h"

namespace mayfly::scan {
namespace {

void expect_ascending(Ecosystem ecosystem, const std::vector<std::string>& versions) {
  for (std::size_t i = 0; i < versions.size(); ++i) {
    for (std::size_t j = 0; j < versions.size(); ++j) {
      const auto order = compare_versions(ecosystem, versions[i], versions[j]);
      EXPECT_EQ(order < 0, i < j) << versions[i] << " and " << versions[j];
      EXPECT_EQ(order == 0, i == j) << versions[i] << " and " << versions[j];
    }
  }
}

// The examples of semver.org, item 11, and of PEP 440, "Summary of permitted suffixes and relative ordering".
TEST(Versions, OrderAsTheirEcosystemsSay) {
  expect_ascending(Ecosystem::kNpm, {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
                                     "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"});
  expect_ascending(Ecosystem::kGo, {"0.0.0-20190101000000-abcdefabcdef", "1.2.3-pre", "1.2.3", "1.21.10"});
  expect_ascending(Ecosystem::kPyPI,
                   {"not a version",     "1.dev0",        "1.0.dev456",   "1.0a1",    "1.0a2.dev456",
                    "1.0a12.dev456",     "1.0a12",        "1.0b1.dev456", "1.0b2",    "1.0b2.post345.dev456",
                    "1.0b2.post345",     "1.0rc1.dev456", "1.0rc1",       "1.0",      "1.0+abc.5",
                    "1.0.post456.dev34", "1.0.post456",   "1.0.15",       "1.1.dev1", "1!0.1"});
  EXPECT_EQ(compare_versions(Ecosystem::kPyPI, "1.0", "1"), std::strong_ordering::equal);
  EXPECT_EQ(compare_versions(Ecosystem::kPyPI, "v1.0-ALPHA-1", "1.0a1"), std::strong_ordering::equal);
  EXPECT_EQ(compare_versions(Ecosystem::kPyPI, "1.0-1", "1.0.post1"), std::strong_ordering::equal);
  EXPECT_EQ(compare_versions(Ecosystem::kGo, "v1.2.3+incompatible", "1.2.3"), std::strong_ordering::equal);
}

std::string listed(const std::string& name, std::string_view text) {
  std::string out;
  for (const auto& one : components_of({.name = name, .text = text})) out += one.purl() + "\n";
  return out;
}

TEST(Inventory, ReadsWhatPackageManagersWrite) {
  EXPECT_EQ(listed("package-lock.json",
                   R"({"lockfileVersion":3,"packages":{"":{"version":"9.9.9"},"node_modules/a":{"version":"1.0.0"},
                      "node_modules/a/node_modules/@s/b":{"version":"2.0.0"},"node_modules/alias":{"name":"real","version":"3.0.0"},
                      "node_modules/linked":{"version":"1.0.0","link":true}}})"),
            "pkg:npm/a@1.0.0\npkg:npm/%40s/b@2.0.0\npkg:npm/real@3.0.0\n");
  EXPECT_EQ(listed("package-lock.json",
                   R"({"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}}}})"),
            "pkg:npm/a@1.0.0\npkg:npm/b@2.0.0\n");
  EXPECT_EQ(listed("node_modules/a/package.json", R"({"name":"a","version":"1.0.0"})"), "pkg:npm/a@1.0.0\n");
  EXPECT_EQ(listed("package.json", R"({"name":"own","version":"1.0.0"})"), "")
      << "the function itself is no dependency";
  EXPECT_EQ(listed("Flask_Cors-4.0.dist-info/METADATA",
                   "Metadata-Version: 2.1\nName: Flask_Cors\r\nVersion: 4.0.0\n\nName: no\n"),
            "pkg:pypi/flask-cors@4.0.0\n");
  EXPECT_EQ(listed("requirements.txt",
                   "# c\nFlask == 2.0.1 ; python_version > '3'\nrequests[socks]==2.31.0 \\\n  --hash=sha256:0\n"
                   "loose>=1\nwild==1.*\n-r other.txt\n"),
            "pkg:pypi/flask@2.0.1\npkg:pypi/requests@2.31.0\n");
  EXPECT_EQ(listed("package-lock.json", "{"), "");
}

TEST(Inventory, ReadsTheBuildInformationOfGoPrograms) {
  const std::string sentinel(16, 'S');
  const std::string modules =
      sentinel +
      "path\texample.com/app\nmod\texample.com/app\t(devel)\t\ndep\tgolang.org/x/net\tv0.7.0\th1:x\n"
      "dep\texample.com/old\tv1.0.0\n=>\texample.com/new\tv1.1.0\th1:y\n" +
      sentinel;
  std::string program = std::string("\x7f") + "ELF" + std::string(28, '\0');
  program += "\xff Go buildinf:";
  program += '\x08';
  program += '\x02';
  program += std::string(16, '\0');
  program += '\x08' + std::string("go1.20.3");
  program += static_cast<char>(0x80 | (modules.size() & 0x7f));
  program += static_cast<char>(modules.size() >> 7);
  program += modules;
  std::string out;
  for (const auto& one : go_components(program, "bootstrap")) out += one.purl() + "\n";
  EXPECT_EQ(out, "pkg:golang/stdlib@1.20.3\npkg:golang/golang.org/x/net@v0.7.0\npkg:golang/example.com/new@v1.1.0\n");
  for (std::size_t cut = 0; cut < program.size(); ++cut) {
    static_cast<void>(go_components(std::string_view(program).substr(0, cut), "bootstrap"));
  }
}

std::string ids(const Advisories& advisories, Ecosystem ecosystem, const std::string& name,
                const std::string& version) {
  std::string out;
  for (const auto& one : advisories.of({.ecosystem = ecosystem, .name = name, .version = version, .found_in = ""})) {
    out += one.id + (one.fixed_in.empty() ? "" : "<" + one.fixed_in) + " ";
  }
  return out;
}

TEST(Advisories, AreEvaluatedAsTheSchemaSays) {
  Advisories advisories;
  EXPECT_TRUE(advisories.add(
      R"({"id":"A","affected":[{"package":{"ecosystem":"npm","name":"p"},"ranges":[{"type":"SEMVER","events":
    [{"introduced":"2.0.0"},{"fixed":"1.2.0"},{"introduced":"1.0.0"},{"fixed":"2.1.0"}]}]}]})"));
  EXPECT_TRUE(
      advisories.add(R"({"id":"B","affected":[{"package":{"ecosystem":"PyPI","name":"My.Pkg"},"versions":["1.0"],
    "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"last_affected":"0.9"}]},{"type":"GIT","events":[{"introduced":"0"}]}]}]})"));
  EXPECT_TRUE(advisories.add(
      R"({"id":"C","withdrawn":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"p"},
    "ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]})"));
  EXPECT_TRUE(advisories.add(
      R"({"id":"D","affected":[{"package":{"ecosystem":"Go","name":"stdlib"},"ranges":[{"type":"SEMVER","events":
    [{"introduced":"0"},{"limit":"1.20.0"}]}]}]})"));
  EXPECT_FALSE(advisories.add(R"({"hello":1})"));
  EXPECT_FALSE(advisories.add("no"));
  EXPECT_EQ(ids(advisories, Ecosystem::kNpm, "p", "0.9.9"), "");
  EXPECT_EQ(ids(advisories, Ecosystem::kNpm, "p", "1.0.0"), "A<1.2.0 ");
  EXPECT_EQ(ids(advisories, Ecosystem::kNpm, "p", "1.2.0"), "");
  EXPECT_EQ(ids(advisories, Ecosystem::kNpm, "p", "2.0.5"), "A<2.1.0 ");
  EXPECT_EQ(ids(advisories, Ecosystem::kNpm, "p", "2.1.0"), "");
  EXPECT_EQ(ids(advisories, Ecosystem::kPyPI, "my-pkg", "0.9"), "B ");
  EXPECT_EQ(ids(advisories, Ecosystem::kPyPI, "my-pkg", "0.9.1"), "");
  EXPECT_EQ(ids(advisories, Ecosystem::kPyPI, "my-pkg", "1.0.0"), "B ") << "1.0.0 is 1.0";
  EXPECT_EQ(ids(advisories, Ecosystem::kGo, "stdlib", "1.19.4"), "D ");
  EXPECT_EQ(ids(advisories, Ecosystem::kGo, "stdlib", "1.20.0"), "");
}

TEST(Secrets, AreFoundByTheirFormAndNeverRepeated) {
  // Put together here, so that no scanner takes this file for a leak.
  const std::string key = std::string("AKIA") + "Z7QWERTYUIOPASDF";
  const std::string pem = std::string("-----BEGIN ") + "PRIVATE KEY-----";
  const auto found = find_secrets("app.py", "a = 1\nkey = '" + key + "'\nx = '''" + pem + "\nMIIE\n'''\n");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].kind, "AWS access key");
  EXPECT_EQ(found[0].line, 2U);
  EXPECT_EQ(found[0].excerpt.find(key), std::string::npos);
  EXPECT_EQ(found[1].kind, "private key");
  EXPECT_TRUE(find_secrets("a", "AKIAIOSFODNN7EXAMPLE").empty()) << "the documentation's example";
  EXPECT_TRUE(find_secrets("a", "X" + key).empty());
  EXPECT_TRUE(find_secrets("a", key + "Z").empty());
  EXPECT_TRUE(find_secrets("a", "if line == '" + pem + "':").empty()) << "code that reads keys holds none";
  EXPECT_TRUE(find_secrets("a", key + std::string(1, '\0')).empty()) << "a binary file";
}

// {"node_modules/p/package.json": {"name":"p","version":"1.0.0"}} as a stored zip.
std::string zip_of(const std::string& name, const std::string& text) {
  const auto little = [](std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  std::uint32_t crc = ~0U;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  const std::string common = little(20, 2) + little(0, 2) + little(0, 2) + little(0, 4) +
                             little(~crc & 0xFFFFFFFFU, 4) + little(text.size(), 4) + little(text.size(), 4) +
                             little(name.size(), 2) + little(0, 2);
  const std::string local = "PK\x03\x04" + common + name + text;
  const std::string central = "PK\x01\x02" + little(20, 2) + common + little(0, 2) + little(0, 2) + little(0, 2) +
                              little(0, 4) + little(0, 4) + name;
  return local + central + "PK\x05\x06" + little(0, 2) + little(0, 2) + little(1, 2) + little(1, 2) +
         little(central.size(), 4) + little(local.size(), 4) + little(0, 2);
}

TEST(Scanner, TellsWhatAPackageIsMadeOfAndWhatIsWrongWithIt) {
  Advisories advisories;
  ASSERT_TRUE(advisories.add(
      R"({"id":"GHSA-1","aliases":["CVE-1"],"summary":"bad","database_specific":{"severity":"HIGH"},"affected":
    [{"package":{"ecosystem":"npm","name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.1"}]}]}]})"));
  const auto zip = zip_of("node_modules/p/package.json", R"({"name":"p","version":"1.0.0"})");
  const auto report = scan_zip(zip, &advisories);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->clean());
  EXPECT_EQ(describe(*report, 3), "p 1.0.0 has GHSA-1, fixed in 1.0.1");
  const auto bill = bill_of_materials(*report, "f", "3e671687-395b-41f5-a30f-a58921a69b79", SystemTime());
  const auto text = to_json(bill);
  EXPECT_NE(text.find(R"("purl":"pkg:npm/p@1.0.0")"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("severity":"high")"), std::string::npos) << text;
  EXPECT_TRUE(scan_zip(zip, nullptr)->clean()) << "without advisories nothing is known";
  EXPECT_FALSE(scan_zip("no zip", nullptr));
}

}  // namespace
}  // namespace mayfly::scan
