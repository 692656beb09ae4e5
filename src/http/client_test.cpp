// The client against our own server, plain and over TLS with a certificate made here.
#include "http/client.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "http/client_transport.h"
#include "http/test_peer.h"

namespace mayfly::http {
namespace {

using testing::echo;
using testing::TestServer;

// A self-signed certificate for localhost and 127.0.0.1, gone with this object.
class Certificate {
 public:
  Certificate() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mayfly-tls-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(certificate, key, EVP_sha256());
    FILE* file = std::fopen(files().certificate_chain_path.c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen(files().private_key_path.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  ~Certificate() { std::filesystem::remove_all(directory_); }
  [[nodiscard]] TlsFiles files() const {
    return TlsFiles{.certificate_chain_path = directory_ + "/cert.pem", .private_key_path = directory_ + "/key.pem"};
  }

 private:
  std::string directory_;
};

ClientRequest post(const std::string& url, std::string body) {
  ClientRequest request;
  request.url_base = url;
  request.head.method = "POST";
  request.head.target = "/t?q";
  request.body = std::move(body);
  request.timeout = std::chrono::seconds(10);
  return request;
}

TEST(Client, FetchesAWholeResponse) {
  TestServer server(echo());
  const auto response = fetch(post(server.url(), "hi"), 1000);
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(response->head.status, 200);
  EXPECT_EQ(response->body, "POST /t?q hi");
  EXPECT_EQ(response->head.headers.get("content-length"), "12");
}

TEST(Client, CarriesLargeBodiesBothWays) {
  TestServer server(echo());
  const std::string body(5'000'000, 'x');
  const auto response = fetch(post(server.url(), body), 10'000'000);
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(response->body, "POST /t?q " + body);
  const auto bounded = fetch(post(server.url(), body), 1000);
  ASSERT_FALSE(bounded.has_value());
  EXPECT_EQ(bounded.error().code, ErrorCode::kTooLarge);
}

TEST(Client, StreamsAndStopsWhenToldTo) {
  TestServer server([](Request&, ResponseWriter& writer) -> Awaitable<void> {
    ResponseHead head;
    static_cast<void>(co_await writer.begin(std::move(head)));
    for (bool open = true; open;) {
      std::string part(1000, 'x');
      open = (co_await writer.write(std::move(part))).has_value();
    }
  });
  std::size_t heads = 0;
  std::size_t bytes = 0;
  const auto head = fetch_streaming(
      post(server.url(), ""), [&heads](const ResponseHead&) { ++heads; },
      [&bytes](std::string_view data) { return (bytes += data.size()) < 100'000; });
  ASSERT_TRUE(head.has_value()) << head.error().message;
  EXPECT_EQ(heads, 1U);
  EXPECT_GE(bytes, 100'000U);
}

TEST(Client, ReportsACutResponse) {
  TestServer server([](Request&, ResponseWriter& writer) -> Awaitable<void> {
    ResponseHead head;
    static_cast<void>(co_await writer.begin(std::move(head)));
  });
  const auto response = fetch(post(server.url(), ""), 1000);
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code, ErrorCode::kClosed);
}

TEST(Client, SkipsInterimResponsesAndHeadBodies) {
  TestServer server(echo());
  auto request = post(server.url(), "hi");
  request.head.headers.add("Expect", "100-continue");
  const auto response = fetch(request, 1000);
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(response->head.status, 200);
  auto head = post(server.url(), "");
  head.head.method = "HEAD";
  const auto bodyless = fetch(head, 1000);
  ASSERT_TRUE(bodyless.has_value()) << bodyless.error().message;
  EXPECT_EQ(bodyless->body, "");
}

TEST(Client, NamesBelowLocalhostAreThisMachine) {
  TestServer server(echo());
  const auto response = fetch(post("http://anything.localhost:" + std::to_string(server.port()), "hi"), 1000);
  EXPECT_TRUE(response.has_value());
}

TEST(Client, ParsesUrls) {
  const auto url = parse_url("https://[::1]:8443/base/");
  ASSERT_TRUE(url.has_value());
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, "8443");
  EXPECT_EQ(url->prefix, "/base");
  EXPECT_EQ(url->authority(), "[::1]:8443");
  EXPECT_EQ(parse_url("http://h")->authority(), "h");
  for (const std::string bad : {"", "h:1", "ftp://h", "http://", "http://h:99999", "http://h:1x"}) {
    EXPECT_FALSE(parse_url(bad).has_value()) << bad;
  }
}

TEST(Client, SpeaksTlsAndVerifies) {
  const Certificate certificate;
  TestServer server(
      [](Request& request, ResponseWriter& writer) -> Awaitable<void> {
        EXPECT_TRUE(request.is_tls());
        std::function<void()> callback = [] {};
        auto body = co_await request.read_all(10'000'000);
        writer.on_peer_closed(std::move(callback));
        Response response;
        if (body) response.body = std::move(*body);
        static_cast<void>(co_await writer.send(std::move(response)));
      },
      ServerLimits{}, certificate.files());
  const std::string body(3'000'000, 'y');
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    auto request = post("https://" + host + ":" + std::to_string(server.port()), body);
    request.ca_file = certificate.files().certificate_chain_path;
    const auto response = fetch(request, 10'000'000);
    ASSERT_TRUE(response.has_value()) << response.error().message;
    EXPECT_EQ(response->body, body);
  }
  auto wrong_name = post("https://other.localhost:" + std::to_string(server.port()), "");
  wrong_name.ca_file = certificate.files().certificate_chain_path;
  EXPECT_EQ(fetch(wrong_name, 1000).error().code, ErrorCode::kUnauthorized);
  EXPECT_EQ(fetch(post(server.url("https"), ""), 1000).error().code, ErrorCode::kUnauthorized);
  // Plain text to the TLS port ends without an answer.
  EXPECT_FALSE(fetch(post(server.url("http"), ""), 1000).has_value());
}

TEST(Server, NamesTheTlsFileThatIsWrong) {
  const Certificate certificate;
  TestServer server(echo());
  auto files = certificate.files();
  files.private_key_path += ".absent";
  const auto port = server.server().listen("127.0.0.1:0", files);
  ASSERT_FALSE(port.has_value());
  EXPECT_NE(port.error().message.find("key.pem.absent"), std::string::npos) << port.error().message;
}

}  // namespace
}  // namespace mayfly::http
