#include "services/sqs/sqs.h"

#include <fmt/core.h>

#include "base/encoding.h"
#include "base/json.h"
#include "base/time_format.h"
#include "services/sqs/core.h"
#include "services/sqs/errors.h"

namespace mayfly::sqs {
namespace {

std::unexpected<Error> no_queue(std::string_view arn) {
  return fail(ErrorCode::kNotFound, fmt::format("The specified queue does not exist: {}", arn));
}

QueueInfo info_of(const QueueRecord& queue) {
  QueueInfo out;
  out.arn = queue.arn();
  out.name = queue.name;
  out.account = queue.place.account;
  out.region = queue.place.region;
  out.fifo = queue.fifo;
  out.visibility_timeout = std::chrono::seconds(queue.visibility_timeout);
  out.dead_letter_arn = queue.dead_letter_arn;
  out.max_receive_count = static_cast<std::uint32_t>(queue.max_receive_count);
  return out;
}

// {"name": {"DataType": "String", "StringValue": ".."}}, BinaryValue in base64.
std::vector<MessageAttribute> attributes_of(const json::object& given) {
  std::vector<MessageAttribute> out;
  for (const auto& entry : given) {
    MessageAttribute attribute;
    attribute.name = entry.key();
    attribute.data_type = get_string(entry.value(), "DataType");
    attribute.binary = find(entry.value(), "BinaryValue") != nullptr;
    if (attribute.binary) {
      attribute.value = base64_decode(get_string(entry.value(), "BinaryValue")).value_or("");
    } else {
      attribute.value = get_string(entry.value(), "StringValue");
    }
    out.push_back(std::move(attribute));
  }
  return out;
}

delivery::Attempt attempt_of(const aws::ApiError& error) {
  delivery::Attempt out;
  out.error_code = batch_code(*error.model);
  out.error_message = error.message;
  out.status = static_cast<std::uint32_t>(error.model->status);
  out.kind = delivery::Attempt::Kind::kRefused;
  if (error.model == &wire::errors::RequestThrottled) out.kind = delivery::Attempt::Kind::kThrottled;
  if (!error.model->sender_fault) out.kind = delivery::Attempt::Kind::kRetry;
  return out;
}

Awaitable<aws::ApiResult<std::string>> send_one(Core& core, QueuePtr queue, Outgoing message) {
  auto prepared = prepare(*queue, std::move(message), "are invalid");
  if (!prepared) co_return std::unexpected(std::move(prepared.error()));
  std::vector<store::NewMessage> messages;
  messages.push_back(std::move(prepared->message));
  auto published = co_await core.port.publish(queue->port_name(), std::move(messages));
  if (!published) co_return refuse_store(published.error());
  co_return std::move(published->front().id);
}

Outgoing outgoing_of(const QueueRecord& queue, delivery::Event event) {
  Outgoing message;
  message.id = std::move(event.id);
  message.body = std::move(event.payload);
  message.attributes = attributes_of(event.message_attributes);
  if (!event.group_id.empty()) message.group_id = std::move(event.group_id);
  if (!event.dedupe_id.empty() && queue.fifo) message.dedupe_id = std::move(event.dedupe_id);
  message.trace_header = std::move(event.trace_id);
  return message;
}

Awaitable<delivery::Attempt> deliver(Core& core, delivery::Arn target, delivery::Event event) {
  const Place place{.account = std::move(target.account), .region = std::move(target.region)};
  const auto queue = core.tables.find(place, target.resource);
  if (!queue) co_return attempt_of(refuse_queue().error());
  auto message = outgoing_of(*queue, std::move(event));
  auto sent = co_await send_one(core, queue, std::move(message));
  if (!sent) co_return attempt_of(sent.error());
  co_return delivery::Attempt();
}

// The message that an event becomes, for whoever writes it together with others.
std::optional<store::Queue::Fanout> place(const Core& core, const delivery::Arn& target, const delivery::Event& event) {
  const auto queue = core.tables.find({.account = target.account, .region = target.region}, target.resource);
  if (!queue) return std::nullopt;
  auto prepared = prepare(*queue, outgoing_of(*queue, event), "are invalid");
  if (!prepared) return std::nullopt;
  return store::Queue::Fanout{.queue = queue->port_name(), .message = std::move(prepared->message)};
}

}  // namespace

struct Sqs::Impl {
  Impl(store::KeyValue& store, store::Queue& queue, Clock& clock, SqsSettings settings)
      : core(store, queue, clock, std::move(settings)), service(wire::service()) {
    bind_queues(service, core);
    bind_tags(service, core);
    bind_send(service, core);
    bind_receive(service, core);
    bind_delete(service, core);
    bind_moves(service, core);
  }
  Core core;
  aws::Service service;
};

Sqs::Sqs(store::KeyValue& store, store::Queue& queue, Clock& clock, SqsSettings settings)
    : impl_(std::make_unique<Impl>(store, queue, clock, std::move(settings))) {}
Sqs::~Sqs() = default;

Awaitable<Result<void>> Sqs::load() {
  auto loaded = co_await impl_->core.tables.load();
  if (!loaded) co_return loaded;
  co_return co_await impl_->core.moves.load();
}

void Sqs::interrupt() {
  impl_->core.interrupted = true;
  impl_->core.moves.stop();
}

Awaitable<void> Sqs::stop() {
  interrupt();
  co_await impl_->core.moves.join();
}

aws::Service& Sqs::service() { return impl_->service; }

void Sqs::add_to(delivery::Targets& targets) {
  auto& core = impl_->core;
  targets.add("sqs", [&core](delivery::Arn target, delivery::Event event) {
    return deliver(core, std::move(target), std::move(event));
  });
  targets.add_placement(
      "sqs", [&core](const delivery::Arn& target, const delivery::Event& event) { return place(core, target, event); });
}

std::optional<std::string> Sqs::resource_policy(std::string_view arn) const {
  const auto queue = impl_->core.tables.find_arn(arn);
  if (!queue || queue->policy.empty()) return std::nullopt;
  return queue->policy;
}

std::optional<QueueInfo> Sqs::find(std::string_view arn) const {
  const auto queue = impl_->core.tables.find_arn(arn);
  if (!queue) return std::nullopt;
  return info_of(*queue);
}

std::vector<QueueInfo> Sqs::queues() const {
  std::vector<QueueInfo> out;
  for (const auto& queue : impl_->core.tables.all()) out.push_back(info_of(*queue));
  return out;
}

Awaitable<Result<std::vector<Message>>> Sqs::receive(std::string arn, ReceiveOptions options) {
  auto& core = impl_->core;
  const auto queue = core.tables.find_arn(arn);
  if (!queue) co_return no_queue(arn);
  LeaseOptions lease;
  lease.max_messages = options.max_messages;
  lease.max_bytes = options.max_bytes;
  lease.visibility = options.visibility_timeout.value_or(std::chrono::seconds(queue->visibility_timeout));
  lease.deadline = Reactor::current().steady_now() + options.wait;
  auto leased = co_await lease_messages(core, queue, lease);
  if (!leased) co_return std::unexpected(std::move(leased.error()));
  std::vector<Message> out;
  out.reserve(leased->size());
  Receipt receipt;
  receipt.generation = queue->generation;
  receipt.received = static_cast<std::uint32_t>(epoch_seconds(core.clock.now()));
  for (auto& message : *leased) {
    receipt.token = std::move(message.lease.token);
    out.push_back(to_message(*queue, std::move(message)));
    out.back().receipt_handle = receipt_text(receipt);
  }
  co_return out;
}

Awaitable<std::vector<Result<void>>> Sqs::remove(std::string arn, std::vector<std::string> receipt_handles) {
  auto& core = impl_->core;
  std::vector<Result<void>> out(receipt_handles.size());
  const auto queue = core.tables.find_arn(arn);
  std::vector<std::size_t> positions;  // beside tokens
  std::vector<store::LeaseToken> tokens;
  for (std::size_t i = 0; i < receipt_handles.size(); ++i) {
    if (!queue) {
      out[i] = no_queue(arn);
    } else if (auto receipt = check_receipt(*queue, std::move(receipt_handles[i])); !receipt) {
      out[i] = std::unexpected(plain_error(receipt.error()));
    } else {
      positions.push_back(i);
      tokens.push_back(std::move(receipt->token));
    }
  }
  if (tokens.empty()) co_return out;
  auto ended = co_await core.port.acknowledge_all(queue->port_name(), std::move(tokens));
  for (std::size_t i = 0; i < positions.size(); ++i) out[positions[i]] = std::move(ended[i]);
  co_return out;
}

Awaitable<std::vector<Result<void>>> Sqs::change_visibility(std::string arn, std::vector<std::string> receipt_handles,
                                                            std::chrono::seconds timeout) {
  auto& core = impl_->core;
  std::vector<Result<void>> out(receipt_handles.size());
  const auto queue = core.tables.find_arn(arn);
  std::vector<std::size_t> positions;  // beside tokens
  std::vector<store::LeaseToken> tokens;
  for (std::size_t i = 0; i < receipt_handles.size(); ++i) {
    if (!queue) {
      out[i] = no_queue(arn);
    } else if (auto receipt = check_receipt(*queue, std::move(receipt_handles[i])); !receipt) {
      out[i] = std::unexpected(plain_error(receipt.error()));
    } else {
      positions.push_back(i);
      tokens.push_back(std::move(receipt->token));
    }
  }
  if (tokens.empty()) co_return out;
  std::vector<std::chrono::microseconds> durations(tokens.size(), timeout);
  auto extended = co_await extend_all(core.port, queue->port_name(), std::move(tokens), std::move(durations));
  for (std::size_t i = 0; i < positions.size(); ++i) out[positions[i]] = std::move(extended[i]);
  co_return out;
}

Awaitable<Result<std::string>> Sqs::send(std::string arn, Outgoing message) {
  const auto queue = impl_->core.tables.find_arn(arn);
  if (!queue) co_return no_queue(arn);
  auto sent = co_await send_one(impl_->core, queue, std::move(message));
  if (!sent) co_return std::unexpected(plain_error(sent.error()));
  co_return std::move(*sent);
}

Awaitable<Result<store::QueueCounts>> Sqs::counts(std::string arn) {
  const auto queue = impl_->core.tables.find_arn(arn);
  if (!queue) co_return no_queue(arn);
  co_return co_await impl_->core.port.counts(queue->port_name());
}

Awaitable<Result<std::vector<LyingMessage>>> Sqs::peek(std::string arn, std::uint64_t after, std::size_t limit) {
  const auto queue = impl_->core.tables.find_arn(arn);
  if (!queue) co_return no_queue(arn);
  auto peeked = co_await impl_->core.port.peek(queue->port_name(), after, limit);
  if (!peeked) co_return std::unexpected(std::move(peeked.error()));
  std::vector<LyingMessage> out;
  for (auto& message : *peeked) {
    auto lying = to_lying(*queue, std::move(message));
    if (!lying) co_return std::unexpected(std::move(lying.error()));
    out.push_back(std::move(*lying));
  }
  co_return out;
}

Awaitable<Result<std::size_t>> Sqs::redrive(std::string arn, std::string destination_arn,
                                            std::vector<MessagePosition> messages) {
  auto& core = impl_->core;
  const auto source = core.tables.find_arn(arn);
  if (!source) co_return no_queue(arn);
  std::size_t moved = 0;
  for (const auto& position : messages) {
    if (position.sequence == 0) co_return fail(ErrorCode::kInvalid, "a message's sequence is missing");
    auto peeked = co_await core.port.peek(source->port_name(), position.sequence - 1, 1);
    if (!peeked) co_return std::unexpected(std::move(peeked.error()));
    if (peeked->empty() || peeked->front().id != position.message_id) continue;  // gone meanwhile
    auto& message = peeked->front();
    auto opened = open(message.body);
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    auto target = destination_arn.empty() ? opened->envelope.source_arn : destination_arn;
    if (target.empty()) {
      co_return fail(ErrorCode::kInvalid, fmt::format("Message {} was sent to this queue itself.", position.message_id),
                     "Name the queue that it shall go to.");
    }
    const auto destination = core.tables.find_arn(target);
    if (!destination) co_return no_queue(target);
    const auto text = std::string_view(message.body).substr(opened->text_at);
    std::vector<store::NewMessage> again;
    again.push_back(redriven(*source, message.id, message.group, "", std::move(opened->envelope), text));
    auto published = co_await core.port.publish(destination->port_name(), std::move(again));
    if (!published) co_return std::unexpected(std::move(published.error()));
    auto taken = co_await core.port.take_out(source->port_name(), message.id);
    if (!taken && taken.error().code != ErrorCode::kNotFound) co_return std::unexpected(std::move(taken.error()));
    ++moved;
  }
  co_return moved;
}

}  // namespace mayfly::sqs
