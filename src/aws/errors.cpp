#include "aws/api.h"

namespace mayfly::aws::common_errors {

const ErrorModel AccessDeniedException{
    .code = "AccessDeniedException", .status = 403, .sender_fault = true, .query_code = "AccessDenied"};
const ErrorModel ExpiredTokenException{
    .code = "ExpiredTokenException", .status = 403, .sender_fault = true, .query_code = "ExpiredToken"};
const ErrorModel IncompleteSignatureException{
    .code = "IncompleteSignatureException", .status = 400, .sender_fault = true, .query_code = "IncompleteSignature"};
const ErrorModel InternalFailure{.code = "InternalFailure", .status = 500, .sender_fault = false};
const ErrorModel InvalidSignatureException{
    .code = "InvalidSignatureException", .status = 403, .sender_fault = true, .query_code = "SignatureDoesNotMatch"};
const ErrorModel MissingAuthenticationTokenException{.code = "MissingAuthenticationTokenException",
                                                     .status = 403,
                                                     .sender_fault = true,
                                                     .query_code = "MissingAuthenticationToken"};
const ErrorModel NotImplemented{.code = "NotImplemented", .status = 501, .sender_fault = false};
const ErrorModel SerializationException{
    .code = "SerializationException", .status = 400, .sender_fault = true, .query_code = "MalformedInput"};
// 429 and not the 400 of the services' common errors: with it goes Retry-After, which HTTP defines for that status.
const ErrorModel ThrottlingException{
    .code = "ThrottlingException", .status = 429, .sender_fault = true, .query_code = "Throttling"};
const ErrorModel UnknownOperationException{.code = "UnknownOperationException",
                                           .status = 404,
                                           .sender_fault = true,
                                           .query_code = "InvalidAction",
                                           .query_status = 400};
const ErrorModel UnrecognizedClientException{
    .code = "UnrecognizedClientException", .status = 403, .sender_fault = true, .query_code = "InvalidClientTokenId"};
const ErrorModel ValidationException{
    .code = "ValidationException", .status = 400, .sender_fault = true, .query_code = "ValidationError"};

}  // namespace mayfly::aws::common_errors
