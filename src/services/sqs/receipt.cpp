#include "services/sqs/receipt.h"

#include "base/encoding.h"

namespace mayfly::sqs {
namespace {
constexpr char kReceiptVersion = 'A';
constexpr std::size_t kReceiptGenerationBytes = 8;
constexpr std::size_t kTimeBytes = 4;
constexpr std::size_t kHeadBytes = 1 + kReceiptGenerationBytes + kTimeBytes;
constexpr std::size_t kTokenBytes = 128;
constexpr std::size_t kTextBytes = 4 * (kHeadBytes + kTokenBytes + 2) / 3;
}  // namespace

std::string receipt_text(const Receipt& receipt) {
  std::string bytes;
  bytes.reserve(kHeadBytes + receipt.token.str().size());
  bytes += kReceiptVersion;
  bytes += hex_decode(receipt.generation).value_or("");
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>((receipt.received >> shift) & 0xFFU);
  bytes += receipt.token.str();
  return base64_encode(bytes);
}

std::optional<Receipt> parse_receipt(std::string_view text) {
  if (text.size() > kTextBytes) return std::nullopt;
  const auto bytes = base64_decode(text);
  if (!bytes || bytes->size() <= kHeadBytes || bytes->front() != kReceiptVersion) return std::nullopt;
  const std::string_view view(*bytes);
  Receipt out;
  out.generation = hex_encode(view.substr(1, kReceiptGenerationBytes));
  for (const char c : view.substr(1 + kReceiptGenerationBytes, kTimeBytes)) {
    out.received = (out.received << 8U) | static_cast<unsigned char>(c);
  }
  out.token = store::LeaseToken(std::string(view.substr(kHeadBytes)));
  return out;
}

}  // namespace mayfly::sqs
