// The front door: what an HTTP request is, who sends it, and which service answers.
//
// Operation.   Function URLs and the gateway's APIs by host name (those by path too); Mayfly's own paths under /_mayfly
// and /metrics; everything else is an AWS API
//              call, authenticated by SigV4, authorised for its operation and resource, and given to the service of its
//              credential scope.
// Concurrency. handle() runs on each connection's reactor; the front holds no state that changes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/admission.h"
#include "app/authorizer.h"
#include "aws/api.h"
#include "aws/sigv4.h"
#include "base/async.h"
#include "dispatch/dispatcher.h"
#include "http/server.h"

namespace mayfly::lambda {
class Lambda;
}
namespace mayfly::gateway {
class Gateway;
struct SignedAnswer;
struct SignedRequest;
}  // namespace mayfly::gateway

namespace mayfly::app {

class OwnApi;

struct FrontSettings {
  std::size_t body_limit = 80UL * 1024 * 1024;  // a 50 MB package in base64, and its JSON
  AdmissionSettings admission;
};

class Front {
 public:
  Front(const Clock& clock, FrontSettings settings, OwnApi& own, lambda::Lambda& lambda, const iam::Iam& iam);

  // What a service answers without a signature, because the request itself is the proof (a link with a token).
  struct OpenDoor {
    std::function<bool(const http::RequestHead&)> is_for;
    std::function<Awaitable<void>(http::Request&, http::ResponseWriter&)> serve;
  };

  // Bound once, before the first request.
  void add_open_door(OpenDoor door);
  void add_service(const std::string& signing_name, const aws::Service& service);
  // Another one of the same signing name: what its paths begin with tells them apart ("/v2/").
  void add_service_below(const std::string& signing_name, std::string path, const aws::Service& service);

  // `service` as in its ARNs.
  void add_resource_policies(std::string service, Authorizer::ResourcePolicies policies) {
    authorizer_.add_resource_policies(std::move(service), std::move(policies));
  }

  // Bound once, before the first request.
  void set_gateway(gateway::Gateway& gateway) { gateway_ = &gateway; }
  // Whether a signed request to the gateway may invoke its route.
  [[nodiscard]] gateway::SignedAnswer check_signed(const gateway::SignedRequest& request) const;
  [[nodiscard]] const Authorizer& authorizer() const { return authorizer_; }
  [[nodiscard]] Authorizer& authorizer() { return authorizer_; }
  void audit_with(aws::Auditor& audit) { audit_ = &audit; }

  Awaitable<void> handle(http::Request& request, http::ResponseWriter& response);
  // A request out of an instance: AWS's APIs, signed like any client's, and the gateway's by path, where each API says
  // who may come. Nothing there is open to this machine.
  Awaitable<void> handle_from_instance(http::Request& request, http::ResponseWriter& response);
  // What a function asks of its parameters-and-secrets address; see docs/secrets.md.
  Awaitable<void> handle_secrets_address(http::Request& request, http::ResponseWriter& response,
                                         dispatch::FunctionCaller caller);

 private:
  struct Authenticated {
    std::string body;  // decoded where it came signed in chunks
    aws::Verified caller;
    iam::AuthenticatedPtr who;
  };
  // Whose signature a request has, and its body.
  [[nodiscard]] aws::ApiResult<Authenticated> verify(const http::RequestHead& head, std::string body) const;
  // Reads and authenticates a request; where that fails it has been answered and nullopt is returned.
  Awaitable<std::optional<Authenticated>> authenticate(http::Request& request, http::ResponseWriter& response,
                                                       std::string request_id);
  // An error in the form of the service that the request claims to be for.
  Awaitable<void> refuse(const http::RequestHead& head, http::ResponseWriter& response, const aws::ApiError& error,
                         std::string request_id);
  Awaitable<void> explain(const http::RequestHead& head, http::ResponseWriter& response, std::string request_id);
  // Null where nobody serves it.
  [[nodiscard]] const aws::Service* service_of(std::string_view signing_name, std::string_view path) const;
  [[nodiscard]] bool is_for_gateway(const http::RequestHead& head) const;
  [[nodiscard]] const OpenDoor* open_door(const http::RequestHead& head) const;
  // Mayfly's own API: what changes something and what is refused is recorded like any other call.
  Awaitable<void> record_own(const aws::CallContext& context, const http::RequestHead& head,
                             const aws::ApiError* refused);
  Awaitable<void> handle_api(http::Request& request, http::ResponseWriter& response);
  // AssumeRoleWithWebIdentity, whose token is its proof. False where the request is another one and goes on.
  Awaitable<bool> handle_web_identity(http::Request& request, http::ResponseWriter& response, std::string request_id);
  Awaitable<void> handle_function_url(http::Request& request, http::ResponseWriter& response);

  const Clock& clock_;
  const std::size_t body_limit_;
  Admission admission_;
  OwnApi& own_;
  lambda::Lambda& lambda_;
  const iam::Iam& iam_;
  gateway::Gateway* gateway_ = nullptr;
  Authorizer authorizer_;
  std::map<std::string, const aws::Service*, std::less<>> services_;
  struct Below {
    std::string path;
    const aws::Service* service;
  };
  std::map<std::string, Below, std::less<>> services_below_;
  std::vector<OpenDoor> open_doors_;
  aws::Auditor* audit_ = nullptr;
};

// Writes an error in the form of the JSON protocols.
Awaitable<void> send_error(http::ResponseWriter& response, const aws::ApiError& error, const std::string& request_id);
Awaitable<void> send_json(http::ResponseWriter& response, json::value body);

}  // namespace mayfly::app
