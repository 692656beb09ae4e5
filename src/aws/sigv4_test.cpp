#include "aws/sigv4.h"

#include <gtest/gtest.h>

#include "aws/conformance_test.h"
#include "aws/sigv4_canonical.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "base/time_format.h"

namespace mayfly::aws {
namespace {

// "GET / HTTP/1.1\nHost:x\n...\n\nbody"; the target may hold spaces.
struct RawRequest {
  http::RequestHead head;
  std::string body;
};

RawRequest parse_raw(const std::string& text) {
  RawRequest raw;
  const auto line_end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, line_end);
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  raw.head.method = line.substr(0, first);
  raw.head.target = line.substr(first + 1, last - first - 1);
  std::size_t at = line_end + 1;
  while (at < text.size()) {
    auto end = std::min(text.find('\n', at), text.size());
    if (end == at) {
      raw.body = text.substr(at + 1);
      break;
    }
    const auto field = text.substr(at, end - at);
    const auto colon = field.find(':');
    raw.head.headers.add(field.substr(0, colon), field.substr(colon + 1));
    at = end + 1;
  }
  return raw;
}

Secret secret_of(const std::string& key, const std::string& token) {
  Secret secret;
  secret.secret_access_key = key;
  secret.session_token = token;
  secret.principal = {.account = "000000000000", .arn = "arn:aws:iam::000000000000:root", .access_key_id = ""};
  return secret;
}

CredentialLookup only(const std::string& id, const Secret& secret) {
  return [=](std::string_view wanted) -> std::optional<Secret> {
    if (wanted != id) return std::nullopt;
    return secret;
  };
}

const SystemTime kNow = *parse_iso8601("20260301T123456Z");
const SigningKey kKey{.access_key_id = "AKIDEXAMPLE",
                      .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                      .session_token = "",
                      .region = "us-east-1",
                      .service = "lambda"};

http::RequestHead plain_head() {
  http::RequestHead head;
  head.method = "GET";
  head.target = "/2015-03-31/functions/arn%3Aaws%3Alambda?Qualifier=%24LATEST&b";
  head.headers.add("Host", "localhost:4566");
  return head;
}

ApiResult<Verified> check(const http::RequestHead& head, std::string_view body, SystemTime now) {
  return verify(head, hex_encode(sha256(body)), now, only(kKey.access_key_id, secret_of(kKey.secret_access_key, "")),
                {});
}

TEST(SigV4, SignedRequestVerifies) {
  auto head = plain_head();
  sign(head, "{}", kKey, kNow);
  const auto verified = check(head, "{}", kNow);
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->region, "us-east-1");
  EXPECT_EQ(verified->service, "lambda");
}

TEST(SigV4, AnotherBodyPathOrMethodIsRefused) {
  auto head = plain_head();
  sign(head, "{}", kKey, kNow);
  EXPECT_EQ(check(head, "{ }", kNow).error().model, &common_errors::InvalidSignatureException);
  auto other = head;
  other.target += "x";
  EXPECT_EQ(check(other, "{}", kNow).error().model, &common_errors::InvalidSignatureException);
  other = head;
  other.method = "PUT";
  EXPECT_EQ(check(other, "{}", kNow).error().model, &common_errors::InvalidSignatureException);
}

TEST(SigV4, StatedHashMustBeTheBodysHash) {
  auto head = plain_head();
  head.headers.set("X-Amz-Content-Sha256", hex_encode(sha256("{}")));
  sign(head, "{}", kKey, kNow);
  EXPECT_TRUE(check(head, "{}", kNow));
  EXPECT_EQ(check(head, "other", kNow).error().model, &common_errors::InvalidSignatureException);
}

TEST(SigV4, UnsignedPayloadTakesAnyBody) {
  auto head = plain_head();
  head.headers.set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD");
  sign(head, "{}", kKey, kNow);
  const auto verified = check(head, "anything", kNow);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->payload_hash, "UNSIGNED-PAYLOAD");
}

TEST(SigV4, HeadersThatMatterMustBeSigned) {
  auto head = plain_head();
  sign(head, "", kKey, kNow);
  head.headers.add("X-Amz-Invocation-Type", "Event");
  EXPECT_EQ(check(head, "", kNow).error().model, &common_errors::InvalidSignatureException);
}

TEST(SigV4, ClockMayBeFiveMinutesOff) {
  auto head = plain_head();
  sign(head, "", kKey, kNow);
  EXPECT_TRUE(check(head, "", kNow + std::chrono::seconds(300)));
  EXPECT_TRUE(check(head, "", kNow - std::chrono::seconds(300)));
  const auto late = check(head, "", kNow + std::chrono::seconds(301));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().model, &common_errors::InvalidSignatureException);
  EXPECT_EQ(late.error().message,
            "Signature expired: 20260301T123456Z is now earlier than 20260301T123457Z (20260301T123957Z - 5 min.)");
  EXPECT_FALSE(check(head, "", kNow - std::chrono::seconds(301)));
}

TEST(SigV4, NamesWhatIsWrong) {
  auto head = plain_head();
  EXPECT_EQ(check(head, "", kNow).error().model, &common_errors::MissingAuthenticationTokenException);
  head.headers.set("Authorization", "AWS4-HMAC-SHA256 Credential=x");
  EXPECT_EQ(check(head, "", kNow).error().model, &common_errors::IncompleteSignatureException);
  auto key = kKey;
  key.access_key_id = "SOMEBODY";
  sign(head, "", key, kNow);
  EXPECT_EQ(check(head, "", kNow).error().model, &common_errors::UnrecognizedClientException);
}

TEST(SigV4, SessionTokenMustBeTheKeys) {
  auto key = kKey;
  key.session_token = "token/with+signs=";
  auto head = plain_head();
  sign(head, "", key, kNow);
  const auto hash = hex_encode(sha256(""));
  EXPECT_TRUE(
      verify(head, hash, kNow, only(key.access_key_id, secret_of(key.secret_access_key, key.session_token)), {}));
  EXPECT_FALSE(verify(head, hash, kNow, only(key.access_key_id, secret_of(key.secret_access_key, "other")), {}));
  EXPECT_FALSE(verify(head, hash, kNow, only(key.access_key_id, secret_of(key.secret_access_key, "")), {}));
}

TEST(SigV4, PresignedUrlIsGoodUntilItExpires) {
  auto head = plain_head();
  head.target = presign(head, kKey, kNow, std::chrono::seconds(60));
  EXPECT_TRUE(check(head, "", kNow + std::chrono::seconds(60)));
  EXPECT_FALSE(check(head, "", kNow + std::chrono::seconds(61)));
  EXPECT_FALSE(check(head, "", kNow - std::chrono::seconds(301)));
  head.target.back() = head.target.back() == '0' ? '1' : '0';
  EXPECT_FALSE(check(head, "", kNow));
}

// The example of the S3 documentation: 65 KiB of 'a' in two chunks.
TEST(SigV4, ChunkedUploadOfTheDocumentation) {
  http::RequestHead head;
  head.method = "PUT";
  head.target = "/examplebucket/chunkObject.txt";
  head.headers.add("Host", "s3.amazonaws.com");
  head.headers.add("x-amz-date", "20130524T000000Z");
  head.headers.add("x-amz-storage-class", "REDUCED_REDUNDANCY");
  head.headers.add("Authorization",
                   "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="
                   "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
                   "x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
  head.headers.add("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  head.headers.add("Content-Encoding", "aws-chunked");
  head.headers.add("x-amz-decoded-content-length", "66560");
  head.headers.add("Content-Length", "66824");
  const auto secret = secret_of("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "");
  EXPECT_TRUE(verify(head, "", *parse_iso8601("20130524T000000Z"), only("AKIAIOSFODNN7EXAMPLE", secret),
                     {.normalize_path = false}));
  const std::string body =
      "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" +
      std::string(65536, 'a') +
      "\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" +
      std::string(1024, 'a') +
      "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n";
  const auto decoded = decode_chunked_payload(head, body, secret);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->size(), 66560U);
  auto tampered = body;
  tampered[200] = 'b';
  EXPECT_FALSE(decode_chunked_payload(head, tampered, secret));
  EXPECT_FALSE(decode_chunked_payload(head, body.substr(0, 60000), secret));
}

TEST(SigV4, UnsignedChunksWithTrailer) {
  http::RequestHead head;
  head.headers.add("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
  const auto decode = [&](const std::string& body) { return decode_chunked_payload(head, body, Secret{}); };
  const auto good = decode("9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(*good, "123456789");
  EXPECT_FALSE(decode("9\r\n123456780\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"));
  EXPECT_FALSE(decode("9\r\n1234"));
  EXPECT_FALSE(decode("fffffffffffffffff\r\n"));
  EXPECT_FALSE(decode(""));
}

int run_aws_suite_case(const json::value& value) {
  const auto& context = value.at("context");
  const auto& credentials = context.at("credentials");
  const auto token = std::string(get_string(credentials, "token"));
  const auto id = std::string(get_string(credentials, "access_key_id"));
  const auto secret = secret_of(std::string(get_string(credentials, "secret_access_key")), token);
  const auto now = *parse_iso8601(get_string(context, "timestamp"));
  const bool normalize = get_bool(context, "normalize", true);
  VerifySettings settings;
  settings.normalize_path = normalize;
  int failures = 0;
  for (const auto* form : {"header", "query"}) {
    const auto text = std::string(get_string(value, std::string(form) + "_signed_request"));
    if (text.empty()) continue;
    const auto raw = parse_raw(text);
    const auto hash = hex_encode(sha256(raw.body));
    const auto verified = verify(raw.head, hash, now, only(id, secret), settings);
    if (!verified) {
      ADD_FAILURE() << text_of(value.at("id")) << " " << form << ": " << verified.error().message;
      ++failures;
    }
    auto changed = raw.head;
    changed.method = "PATCH";
    if (verify(changed, hash, now, only(id, secret), settings)) {
      ADD_FAILURE() << text_of(value.at("id")) << " " << form << ": accepts another method";
      ++failures;
    }
  }
  return failures;
}

TEST(SigV4Conformance, AwsSigningTestSuite) {
  const auto file = conformance_file("sigv4/aws_signing_test_suite_v4.json");
  if (!file) GTEST_SKIP() << "conformance data is missing: set MAYFLY_CONFORMANCE_DIR";
  int passed = 0;
  const auto& cases = file->at("cases").get_array();
  for (const auto& value : cases) passed += run_aws_suite_case(value) == 0 ? 1 : 0;
  std::printf("aws_signing_test_suite_v4: %d of %zu\n", passed, cases.size());
}

TEST(SigV4Conformance, BotocoreSuiteIsSignedAlike) {
  const auto file = conformance_file("sigv4/botocore_aws4_testsuite.json");
  if (!file) GTEST_SKIP() << "conformance data is missing: set MAYFLY_CONFORMANCE_DIR";
  int passed = 0;
  const auto& cases = file->at("cases").get_array();
  for (const auto& value : cases) {
    const auto& credentials = value.at("credentials");
    SigningKey key;
    key.access_key_id = get_string(credentials, "access_key");
    key.secret_access_key = get_string(credentials, "secret_key");
    key.region = get_string(credentials, "region");
    key.service = get_string(credentials, "service");
    auto raw = parse_raw(text_of(value.at("req")));
    sign(raw.head, raw.body, key, *parse_iso8601(get_string(credentials, "date")));
    EXPECT_EQ(raw.head.headers.get("Authorization"), get_string(value, "authz")) << text_of(value.at("id"));
    passed += raw.head.headers.get("Authorization") == get_string(value, "authz") ? 1 : 0;
  }
  std::printf("botocore_aws4_testsuite: %d of %zu\n", passed, cases.size());
}

TEST(SigV4Conformance, RequestsOfClients) {
  const auto file = conformance_file("sigv4/botocore_signed_requests.json");
  if (!file) GTEST_SKIP() << "conformance data is missing: set MAYFLY_CONFORMANCE_DIR";
  int passed = 0;
  const auto& cases = file->at("cases").get_array();
  for (const auto& value : cases) {
    const auto& request = value.at("request");
    http::RequestHead head;
    head.method = get_string(request, "method");
    head.target = get_string(request, "target");
    for (const auto& header : request.at("headers").get_object()) {
      head.headers.add(std::string(header.key()), text_of(header.value()));
    }
    const auto body = hex_decode(get_string(request, "body_hex")).value_or("");
    const auto secret =
        secret_of(std::string(get_string(value, "secret_access_key")), std::string(get_string(value, "session_token")));
    const auto at = get_string(value, "at_time", get_string(value, "time"));
    VerifySettings settings;
    settings.normalize_path = get_string(value, "service") != "s3";
    const auto verified = verify(head, hex_encode(sha256(body)), *parse_iso8601(at),
                                 only(std::string(get_string(value, "access_key_id")), secret), settings);
    const bool accept = get_string(value, "expect") == "accept";
    EXPECT_EQ(verified.has_value(), accept)
        << text_of(value.at("id")) << " " << (verified ? "accepted" : verified.error().message) << " tampered "
        << get_string(value, "tampered");
    passed += verified.has_value() == accept ? 1 : 0;
  }
  std::printf("botocore_signed_requests: %d of %zu\n", passed, cases.size());
}

}  // namespace
}  // namespace mayfly::aws
