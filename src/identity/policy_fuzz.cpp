// Fuzz entry: a policy document that a peer sends, and a request decided by it. Built with -fsanitize=fuzzer.
#include <cstddef>
#include <cstdint>
#include <string>

#include "identity/policy_decision.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::identity;
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(data[i]);
  for (const auto kind : {PolicyKind::kIdentity, PolicyKind::kResource, PolicyKind::kTrust}) {
    const auto policy = Policy::parse(text, kind, Policy::kLongest);
    if (!policy) continue;
    Question question;
    question.caller.kind = Caller::Kind::kUser;
    question.caller.account = "000000000000";
    question.caller.arn = "arn:aws:iam::000000000000:user/ann";
    question.action = "lambda:InvokeFunction";
    question.resource = "arn:aws:lambda:us-east-1:000000000000:function:f";
    question.resource_account = "000000000000";
    question.context.set("aws:username", "ann");
    question.context.set("aws:SourceIp", text.substr(0, 40));
    question.context.set("aws:CurrentTime", text.substr(0, 20));
    const NamedPolicy named{.name = "fuzzed", .policy = *policy};
    Policies policies;
    policies.identity = {&named, 1};
    policies.resource = {&named, 1};
    const auto decision = decide(question, policies);
    static_cast<void>(explanation(question, decision));
  }
  return 0;
}
