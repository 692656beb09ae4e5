#include "services/sns/sns.h"

#include <fmt/core.h>

#include "aws/form.h"
#include "aws/xml.h"
#include "base/crypto.h"
#include "base/log.h"
#include "services/sns/core.h"
#include "vault/sealed_records.h"

namespace mayfly::sns {
namespace {

constexpr std::string_view kSigningKey = "sns/signing-key";
constexpr std::string_view kCertificatePath = "/SimpleNotificationService-";
constexpr std::string_view kNamespace = "http://sns.amazonaws.com/doc/2010-03-31/";

std::string certificate_path(const SigningKey& key) {
  return fmt::format("{}{}.pem", kCertificatePath, hex_encode(sha256(key.certificate_pem())).substr(0, 32));
}

bool is_locked(std::string_view text) {
  const auto parsed = parse_json(text);
  const auto* key = parsed ? find(*parsed, "privateKey") : nullptr;
  return key != nullptr && vault::locked(*key);
}

Awaitable<Result<SigningKey>> read_or_make_key(Core& core) {
  auto stored = co_await core.store.get(std::string(kSigningKey));
  if (!stored) co_return std::unexpected(std::move(stored.error()));
  store::Revision expected = 0;
  if (*stored && is_locked((*stored)->value)) {
    // Receivers find the certificate by the address in each message, so that a new key does as well.
    log(Level::kWarn, "the key that signs notifications cannot be decrypted; a new one is made");
    expected = (*stored)->revision;
    stored->reset();
  }
  if (!*stored) {
    std::function<Result<SigningKey>()> work = [now = core.clock.now()] { return SigningKey::make("sns.mayfly", now); };
    auto made = co_await core.pool.run<SigningKey>(std::move(work));
    if (!made) co_return std::unexpected(std::move(made.error()));
    auto text =
        to_json(json::object{{"privateKey", made->private_key_pem()}, {"certificate", made->certificate_pem()}});
    auto written = co_await core.store.compare_and_set(std::string(kSigningKey), std::move(text), expected);
    if (written) co_return std::move(*made);
    if (written.error().code != ErrorCode::kConflict) co_return std::unexpected(std::move(written.error()));
    stored = co_await core.store.get(std::string(kSigningKey));
    if (!stored) co_return std::unexpected(std::move(stored.error()));
    if (!*stored) co_return fail(ErrorCode::kConflict, "the signing key changes while it is read");
  }
  const auto parsed = parse_json((*stored)->value);
  if (!parsed) co_return std::unexpected(parsed.error());
  co_return SigningKey::from_pem(std::string(get_string(*parsed, "privateKey")),
                                 std::string(get_string(*parsed, "certificate")));
}

// Subscriptions whose topic went while the server died, and those that nobody confirmed in time.
Awaitable<Result<void>> remove_leftovers(Core& core) {
  for (const auto& subscription : core.subscriptions.with_prefix(std::string(kSubscriptionPrefix))) {
    const bool expired = subscription->pending && core.clock.now() - subscription->created > std::chrono::days(3);
    const bool orphan = core.topics.find(topic_key(subscription->place, subscription->topic)) == nullptr;
    if (!expired && !orphan) continue;
    auto erased = co_await core.subscriptions.erase(subscription->key());
    if (!erased) co_return fail(ErrorCode::kIo, "a subscription that is left over could not be removed");
  }
  co_return Result<void>();
}

// An event that somebody else sends to a topic: a rule, a schedule, a destination.
Awaitable<delivery::Attempt> publish_event(Core& core, delivery::Arn target, delivery::Event event) {
  delivery::Attempt attempt;
  auto topic = core.topics.find(topic_key({.account = target.account, .region = target.region}, target.resource));
  if (topic == nullptr) {
    attempt.kind = delivery::Attempt::Kind::kRefused;
    attempt.error_code = "NotFound";
    attempt.error_message = "Topic does not exist";
    co_return attempt;
  }
  WireAttributes attributes;
  for (const auto& entry : event.message_attributes) {
    auto& [name, value] = (attributes ? *attributes : attributes.emplace()).emplace_back();
    name = entry.key();
    value.DataType = std::string(get_string(entry.value(), "DataType"));
    if (find(entry.value(), "BinaryValue") != nullptr) {
      value.BinaryValue = base64_decode(get_string(entry.value(), "BinaryValue")).value_or("");
    } else {
      value.StringValue = std::string(get_string(entry.value(), "StringValue"));
    }
  }
  std::optional<std::string> subject;
  if (const auto given = get_string(event.parameters, "Subject"); !given.empty()) subject = std::string(given);
  const std::optional<std::string> structure;
  auto message = read_message(std::move(event.payload), std::move(subject), structure, attributes);
  if (message) {
    if (!event.group_id.empty()) message->group_id = std::move(event.group_id);
    // The same on every attempt, so that a repeated one is one message of a FIFO topic.
    if (topic->fifo()) message->dedupe_id = event.dedupe_id.empty() ? event.id : event.dedupe_id;
    message->trace_id = std::move(event.trace_id);
    auto published = co_await publish_to(core, std::move(topic), std::move(*message));
    if (published) {
      attempt.response = std::move(published->id);
      co_return attempt;
    }
    message = std::unexpected(std::move(published.error()));
  }
  const auto& error = message.error();
  attempt.kind = error.model->sender_fault ? delivery::Attempt::Kind::kRefused : delivery::Attempt::Kind::kRetry;
  attempt.error_code = error.model->code;
  attempt.error_message = error.message;
  attempt.status = static_cast<std::uint32_t>(error.model->status);
  co_return attempt;
}

http::Response xml_response(int status, std::string body) {
  http::Response response;
  response.head.status = status;
  response.head.headers.add("Content-Type", "text/xml");
  response.body = std::move(body);
  return response;
}

http::Response link_refused(std::string_view code, std::string_view message, int status) {
  aws::XmlWriter xml;
  xml.open("ErrorResponse");
  xml.attribute("xmlns", kNamespace);
  xml.open("Error");
  xml.leaf("Type", "Sender");
  xml.leaf("Code", code);
  xml.leaf("Message", message);
  xml.close();
  xml.close();
  return xml_response(status, xml.finish());
}

http::Response link_followed(std::string_view action, std::string_view subscription_arn) {
  aws::XmlWriter xml;
  xml.open(fmt::format("{}Response", action));
  xml.attribute("xmlns", kNamespace);
  if (!subscription_arn.empty()) {
    xml.open(fmt::format("{}Result", action));
    xml.leaf("SubscriptionArn", subscription_arn);
    xml.close();
  }
  xml.close();
  return xml_response(200, xml.finish());
}

Awaitable<http::Response> follow_confirmation(Core& core, std::string topic, std::string token) {
  auto confirmed = co_await confirm(core, std::move(topic), std::move(token), false, false);
  if (!confirmed) co_return link_refused("InternalError", confirmed.error().message, 500);
  if (*confirmed == nullptr) co_return link_refused("InvalidParameter", "Invalid parameter: Token", 400);
  co_return link_followed("ConfirmSubscription", (*confirmed)->arn());
}

Awaitable<http::Response> follow_unsubscribe(Core& core, std::string arn) {
  auto subscription = subscription_by_arn(core, arn);
  if (subscription == nullptr) co_return link_refused("NotFound", "Subscription does not exist", 404);
  if (subscription->authenticate_on_unsubscribe) {
    co_return link_refused("AuthorizationError", "This subscription is ended by signed requests only", 403);
  }
  auto done = co_await unsubscribe(core, std::move(subscription));
  if (!done) co_return link_refused("InternalError", done.error().message, 500);
  co_return link_followed("Unsubscribe", "");
}

std::string field(const aws::Form& form, std::string_view name) {
  const auto* value = aws::find_field(form, name);
  return value == nullptr ? std::string() : *value;
}

}  // namespace

struct Sns::Impl {
  Impl(store::KeyValue& store, store::Queue& queue, Submit submit, Deliver deliver, BlockingPool& pool, Clock& clock,
       SnsSettings settings)
      : core(store, queue, std::move(submit), std::move(deliver), pool, clock, std::move(settings)),
        service(wire::service()) {
    bind_topics(service, core);
    bind_permissions(service, core);
    bind_subscriptions(service, core);
    bind_subscription_attributes(service, core);
    bind_publish(service, core);
  }
  Core core;
  aws::Service service;
};

Sns::Sns(store::KeyValue& store, store::Queue& queue, Submit submit, Deliver deliver, BlockingPool& pool, Clock& clock,
         SnsSettings settings)
    : impl_(std::make_unique<Impl>(store, queue, std::move(submit), std::move(deliver), pool, clock,
                                   std::move(settings))) {}

Sns::~Sns() = default;

Awaitable<Result<void>> Sns::load() {
  auto& core = impl_->core;
  auto topics = co_await core.topics.load(std::string(kTopicPrefix));
  if (!topics) co_return topics;
  auto subscriptions = co_await core.subscriptions.load(std::string(kSubscriptionPrefix));
  if (!subscriptions) co_return subscriptions;
  auto greatest = co_await core.deduplication.load();
  if (!greatest) co_return std::unexpected(std::move(greatest.error()));
  core.continue_after(*greatest);
  auto removed = co_await remove_leftovers(core);
  if (!removed) co_return removed;
  auto key = co_await read_or_make_key(core);
  if (!key) co_return std::unexpected(std::move(key.error()));
  core.key = std::move(*key);
  set_endpoint(core.settings.endpoint_url);
  co_return Result<void>();
}

void Sns::set_endpoint(std::string url) {
  auto& core = impl_->core;
  auto certificate = url + certificate_path(*core.key);
  core.set_signer(Signer{.key = &*core.key, .certificate_url = std::move(certificate), .endpoint_url = std::move(url)});
}

aws::Service& Sns::service() { return impl_->service; }

std::optional<std::string> Sns::resource_policy(std::string_view arn) const {
  const auto parsed = delivery::parse_arn(arn);
  if (!parsed || parsed->service != "sns") return std::nullopt;
  const Place place{.account = parsed->account, .region = parsed->region};
  const auto topic = impl_->core.topics.find(topic_key(place, parsed->resource));
  if (topic == nullptr) return std::nullopt;
  const auto given = topic->attribute("Policy");
  return given.empty() ? default_policy(*topic) : std::string(given);
}

void Sns::add_to(delivery::Targets& targets) {
  auto& core = impl_->core;
  targets.add("sns", [&core](delivery::Arn target, delivery::Event event) {
    return publish_event(core, std::move(target), std::move(event));
  });
  targets.add(std::string(kEndpointHandler), [&core](delivery::Arn target, delivery::Event event) {
    return call_endpoint(core, std::move(target), std::move(event));
  });
}

bool Sns::is_open(const http::RequestHead& head) {
  if (head.method != "GET" || head.headers.find("Authorization") != nullptr) return false;
  if (head.path().starts_with(kCertificatePath)) return true;
  if (head.path() != "/" || head.query().contains("X-Amz-")) return false;
  const auto action = field(aws::parse_form(head.query()), "Action");
  return action == "ConfirmSubscription" || action == "Unsubscribe";
}

Awaitable<void> Sns::serve_open(http::Request& request, http::ResponseWriter& response) {
  auto& core = impl_->core;
  http::Response answer;
  const auto form = aws::parse_form(request.head.query());
  if (request.head.path() == certificate_path(*core.key)) {
    answer.head.headers.add("Content-Type", "application/x-pem-file");
    answer.body = core.key->certificate_pem();
  } else if (request.head.path() != "/") {
    answer.head.status = 404;
  } else if (field(form, "Action") == "ConfirmSubscription") {
    answer = co_await follow_confirmation(core, field(form, "TopicArn"), field(form, "Token"));
  } else {
    answer = co_await follow_unsubscribe(core, field(form, "SubscriptionArn"));
  }
  // A peer that has gone is no concern of ours here.
  std::ignore = co_await response.send(std::move(answer));
}

}  // namespace mayfly::sns
