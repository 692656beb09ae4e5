#!/usr/bin/env python3
"""Writes C++ types and tables of one AWS service from its published model.

The model is botocore's service-2.json, found in the Python environment that runs this. A list file names the
operations for which types are generated; the operation table always names every operation of the model, so that the
ones that are not implemented can be answered by name.

usage: generate_service.py SERVICE OPERATIONS_FILE OUTPUT_DIRECTORY
"""

import gzip
import importlib.util
import json
import os
import sys

KINDS = {
    "structure": "kStructure", "list": "kList", "map": "kMap", "string": "kString", "character": "kString",
    "blob": "kBlob", "boolean": "kBoolean", "integer": "kInteger", "long": "kLong", "double": "kDouble",
    "float": "kDouble", "timestamp": "kTimestamp",
}
SCALARS = {
    "kString": "std::string", "kBlob": "std::string", "kBoolean": "bool", "kInteger": "std::int32_t",
    "kLong": "std::int64_t", "kDouble": "double", "kTimestamp": "double", "kDocument": "json::value",
}
LOCATIONS = {"uri": "kUri", "querystring": "kQuery", "header": "kHeader", "headers": "kHeaders",
             "statusCode": "kStatusCode"}
# Services that answer a missing member or a value outside of its set in words of their own instead of a
# ValidationException: their operations look themselves.
SELF_CHECKED = {"sqs"}
# What the service says of a blob that is the whole body; the models do not tell.
BLOB_CONTENT_TYPES = {"lambda": "application/json"}
# The order in which the services list a set of values in errors, where it is known and not the model's.
ENUM_ORDERS = {("lambda", "InvokeMode"): ["RESPONSE_STREAM", "BUFFERED"],
               ("lambda", "EventSourcePosition"): ["LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"]}
# What the published JSON models of services that once spoke Query alone leave out: the names in forms and XML of members
# and of elements, and the codes and statuses of errors. Source: the Query forms that those services still accept, and
# the errors that they were recorded to answer.
QUERY_NAMES = {"sqs": {
    ("AttributeNameList", "member"): "AttributeName", ("AWSAccountIdList", "member"): "AWSAccountId",
    ("ActionNameList", "member"): "ActionName", ("MessageSystemAttributeList", "member"): "MessageSystemAttributeName",
    ("MessageAttributeNameList", "member"): "MessageAttributeName", ("QueueUrlList", "member"): "QueueUrl",
    ("MessageList", "member"): "Message", ("TagKeyList", "member"): "TagKey",
    ("BinaryList", "member"): "BinaryListValue", ("StringList", "member"): "StringListValue",
    ("QueueAttributeMap", "key"): "Name", ("QueueAttributeMap", "value"): "Value",
    ("MessageSystemAttributeMap", "key"): "Name", ("MessageSystemAttributeMap", "value"): "Value",
    ("MessageBodyAttributeMap", "key"): "Name", ("MessageBodyAttributeMap", "value"): "Value",
    ("MessageBodySystemAttributeMap", "key"): "Name", ("MessageBodySystemAttributeMap", "value"): "Value",
    ("TagMap", "key"): "Key", ("TagMap", "value"): "Value",
    **{(name + "List", "member"): name for name in (
        "BatchResultErrorEntry", "ChangeMessageVisibilityBatchRequestEntry", "ChangeMessageVisibilityBatchResultEntry",
        "DeleteMessageBatchRequestEntry", "DeleteMessageBatchResultEntry", "ListMessageMoveTasksResultEntry",
        "SendMessageBatchRequestEntry", "SendMessageBatchResultEntry")},
    # Members that hold those maps, wherever they are.
    ("QueueAttributeMap", None): "Attribute", ("MessageSystemAttributeMap", None): "Attribute",
    ("MessageBodyAttributeMap", None): "MessageAttribute",
    ("MessageBodySystemAttributeMap", None): "MessageSystemAttribute", ("TagMap", None): "Tag",
}}
SQS_CODE = "AWS.SimpleQueueService."
QUERY_ERRORS = {"sqs": {
    **{name: (SQS_CODE + name, 400) for name in (
        "BatchEntryIdsNotDistinct", "BatchRequestTooLong", "EmptyBatchRequest", "InvalidBatchEntryId",
        "MessageNotInflight", "QueueDeletedRecently", "TooManyEntriesInBatchRequest", "UnsupportedOperation")},
    "QueueDoesNotExist": (SQS_CODE + "NonExistentQueue", 400), "QueueNameExists": ("QueueAlreadyExists", 400),
    "PurgeQueueInProgress": (SQS_CODE + "PurgeQueueInProgress", 403), "OverLimit": ("OverLimit", 403),
    "InvalidAddress": ("InvalidAddress", 404), "InvalidSecurity": ("InvalidSecurity", 403),
    "ReceiptHandleIsInvalid": ("ReceiptHandleIsInvalid", 404), "RequestThrottled": ("RequestThrottled", 403),
    "ResourceNotFoundException": ("ResourceNotFoundException", 404),
    "KmsAccessDenied": ("KMS.AccessDeniedException", 400), "KmsDisabled": ("KMS.DisabledException", 400),
    "KmsInvalidKeyUsage": ("KMS.InvalidKeyUsageException", 400), "KmsInvalidState": ("KMS.InvalidStateException", 400),
    "KmsNotFound": ("KMS.NotFoundException", 400), "KmsOptInRequired": ("KMS.OptInRequired", 403),
    "KmsThrottled": ("KMS.ThrottlingException", 400),
}}
QUERY_NAMESPACES = {"sqs": "http://queue.amazonaws.com/doc/2012-11-05/"}
# Further protocols that a service speaks, where its model does not name them.
ALSO = {"sqs": ["query"]}
# Services whose Query errors have an empty <Detail/>.
ERROR_DETAIL = {"sqs"}
# Protocols that the engine has.
BUILT_IN = {"kRestJson", "kJson10", "kJson11", "kQuery", "kRestXml", "kCbor"}
# Services whose REST-XML errors have no element around them.
BARE_ERRORS = {"s3"}
TIMES = {"unixTimestamp": "kEpochSeconds", "iso8601": "kIso8601", "rfc822": "kHttpDate"}
KEYWORDS = {"and", "auto", "bool", "break", "case", "catch", "char", "class", "concept", "const", "continue",
            "default", "delete", "do", "double", "else", "enum", "explicit", "export", "extern", "false", "float",
            "for", "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new", "not", "operator",
            "or", "private", "protected", "public", "register", "requires", "return", "short", "signed", "sizeof",
            "static", "struct", "switch", "template", "this", "throw", "true", "try", "typedef", "typename", "union",
            "unsigned", "using", "virtual", "void", "volatile", "while", "xor"}


def load_model(service):
    spec = importlib.util.find_spec("botocore")
    if spec is None:
        sys.exit("generate_service.py: botocore is not installed for %s; run `make setup`" % sys.executable)
    folder = os.path.join(os.path.dirname(spec.origin), "data", service)
    version = max(os.listdir(folder))
    path = os.path.join(folder, version, "service-2.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    with gzip.open(path + ".gz", "rt", encoding="utf-8") as file:
        return json.load(file)


def literal(text):
    out = []
    for byte in text.encode("utf-8"):
        char = chr(byte)
        if char in '"\\':
            out.append("\\" + char)
        elif 32 <= byte < 127:
            out.append("\\?" if char == "?" else char)
        else:
            out.append("\\%03o" % byte)
    return '"' + "".join(out) + '"'


def identifier(name):
    name = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return name + "_" if name in KEYWORDS or name[0].isdigit() else name


# What the service checks beyond the published model, as its own refusals show.
PATTERN_CORRECTIONS = [
    ("[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}", "(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}"),
    ("[a-zA-Z0-9-_]+))?|code-signing-config:", "[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:"),
]


def corrected(pattern):
    for published, actual in PATTERN_CORRECTIONS:
        if actual not in pattern:
            pattern = pattern.replace(published, actual)
    return pattern


class Generator:
    def __init__(self, service, model, wanted):
        self.service = service
        self.namespace = identifier(service.replace("-", "_"))
        self.model = model
        self.shapes = model["shapes"]
        self.operations = model["operations"]
        unknown = [name for name in wanted if name not in self.operations]
        if unknown:
            sys.exit("generate_service.py: %s has no operation %s" % (service, ", ".join(unknown)))
        self.wanted = set(wanted)
        self.order = []  # reachable shapes, each after those it holds by value
        self.index = {}
        self.reach = {}
        for name in self.operations:
            if name in self.wanted:
                for direction in ("input", "output"):
                    if direction in self.operations[name]:
                        self.visit(self.operations[name][direction]["shape"])
        clash = [name for name in self.wanted if name in self.index and self.kind(name) == "kStructure"]
        if clash:
            sys.exit("generate_service.py: operations and structures of one name: " + ", ".join(clash))

    def kind(self, name):
        shape = self.shapes[name]
        if shape.get("document"):
            return "kDocument"
        return KINDS[shape["type"]]

    def references(self, name):
        """(member name, reference) pairs of a shape, in the order of the table."""
        shape = self.shapes[name]
        kind = self.kind(name)
        if kind == "kStructure":
            return list(shape.get("members", {}).items())
        if kind == "kList":
            return [("member", shape["member"])]
        if kind == "kMap":
            return [("key", shape["key"]), ("value", shape["value"])]
        return []

    def visit(self, name):
        if name in self.index:
            return
        self.index[name] = None
        for _, reference in self.references(name):
            self.visit(reference["shape"])
        self.index[name] = len(self.order)
        self.order.append(name)

    def reachable(self, name):
        if name not in self.reach:
            seen, todo = set(), [name]
            while todo:
                for _, reference in self.references(todo.pop()):
                    if reference["shape"] not in seen:
                        seen.add(reference["shape"])
                        todo.append(reference["shape"])
            self.reach[name] = seen
        return self.reach[name]

    def recursive(self, owner, name):
        return self.kind(name) == "kStructure" and owner in self.reachable(name) or name == owner

    def plain_type(self, owner, name):
        kind = self.kind(name)
        if kind in SCALARS:
            return SCALARS[kind]
        if kind == "kStructure":
            qualified = "%s::%s" % (self.namespace, identifier(name))
            return "std::shared_ptr<%s>" % qualified if self.recursive(owner, name) else qualified
        shape = self.shapes[name]
        if kind == "kList":
            return "std::vector<%s>" % self.plain_type(owner, shape["member"]["shape"])
        return "std::vector<std::pair<std::string, %s>>" % self.plain_type(owner, shape["value"]["shape"])

    def member_type(self, owner, name):
        plain = self.plain_type(owner, name)
        return plain if plain.startswith("std::shared_ptr") else "std::optional<%s>" % plain

    def structures(self):
        return [name for name in self.order if self.kind(name) == "kStructure"]

    def blob_payload(self, name):
        payload = self.shapes[name].get("payload")
        if payload is None:
            return None
        member = self.shapes[name]["members"][payload]["shape"]
        return payload if self.kind(member) in ("kBlob", "kString") else None

    def errors(self):
        return [name for name, shape in self.shapes.items() if shape.get("exception")]

    def response(self, operation):
        output = operation.get("output")
        return identifier(output["shape"]) if output else "Empty"

    def request(self, operation):
        given = operation.get("input")
        return identifier(given["shape"]) if given else "Empty"

    def header(self):
        out = ["// Generated by tools/generate_service.py from the published model of %s. Do not edit." % self.service,
               "#pragma once", "", '#include "aws/codec.h"', '#include "aws/model.h"', "",
               "namespace mayfly::aws::%s {" % self.namespace, ""]
        for name in self.structures():
            out.append("struct %s;" % identifier(name))
        out.append("")
        for name in self.structures():
            out.append("struct %s {" % identifier(name))
            for member, reference in self.references(name):
                out.append("  %s %s;" % (self.member_type(name, reference["shape"]), identifier(member)))
            out.append("};")
            out.append("void from_document(const json::object& document, %s& out);" % identifier(name))
            out.append("void to_document(const %s& value, json::object& out);" % identifier(name))
            payload = self.blob_payload(name)
            if payload:
                out.append("inline std::optional<std::string>& blob_payload(%s& value) { return value.%s; }"
                           % (identifier(name), identifier(payload)))
            out.append("")
        for name, operation in self.operations.items():
            if name in self.wanted:
                out += ["struct %s {" % identifier(name), "  using Request = %s;" % self.request(operation),
                        "  using Response = %s;" % self.response(operation),
                        "  static const OperationModel& model();", "};", ""]
        out += ["const ServiceModel& service();", "", "namespace errors {"]
        out += ["extern const ErrorModel %s;" % identifier(name) for name in self.errors()]
        out += ["}  // namespace errors", "", "}  // namespace mayfly::aws::%s" % self.namespace, ""]
        return "\n".join(out)

    def enum_values(self, name):
        values = self.shapes[name].get("enum", [])
        order = ENUM_ORDERS.get((self.service, name), [])
        return [value for value in order if value in values] + [value for value in values if value not in order]

    def member_row(self, owner, member, reference):
        shape = self.shapes[reference["shape"]]
        parts = [".name = %s" % literal(member),
                 ".wire_name = %s" % literal(reference.get("locationName") or member),
                 ".shape = &kShapes[%d]" % self.index[reference["shape"]]]
        if reference.get("location"):
            parts.append(".location = Location::%s" % LOCATIONS[reference["location"]])
        if member in self.shapes[owner].get("required", []) and self.service not in SELF_CHECKED:
            parts.append(".required = true")
        if reference.get("jsonvalue"):
            parts.append(".json_value = true")
        if reference.get("idempotencyToken"):
            parts.append(".idempotency_token = true")
        form = reference.get("timestampFormat") or shape.get("timestampFormat")
        if form:
            parts.append(".time_format = TimeFormat::%s" % TIMES[form])
        names = QUERY_NAMES.get(self.service, {})
        in_xml = names.get((owner, member)) or (
            names.get((reference["shape"], None)) if self.kind(owner) == "kStructure" else None)
        if in_xml:
            parts.append(".xml_name = %s" % literal(in_xml))
        parts += self.xml_namespace(reference)
        if reference.get("xmlAttribute"):
            parts.append(".xml_attribute = true")
        if reference.get("flattened"):
            parts.append(".flattened = true")
        return "    {%s}," % ", ".join(parts)

    @staticmethod
    def xml_namespace(source):
        namespace = source.get("xmlNamespace")
        if not namespace:
            return []
        if isinstance(namespace, str):
            namespace = {"uri": namespace}
        parts = [".xml_namespace = %s" % literal(namespace["uri"])]
        if namespace.get("prefix"):
            parts.append(".xml_prefix = %s" % literal(namespace["prefix"]))
        return parts

    def shape_row(self, name, first_member, enum_start):
        shape = self.shapes[name]
        kind = self.kind(name)
        count = len(self.references(name))
        parts = [".name = %s" % literal(name), ".kind = Kind::%s" % kind]
        if count:
            parts.append(".members = {&kMembers[%d], %d}" % (first_member, count))
        for bound in ("min", "max"):
            if bound in shape:
                parts.append(".%s = %s" % (bound, repr(float(shape[bound]))))
        if shape.get("pattern"):
            parts.append(".pattern = %s" % literal(corrected(shape["pattern"])))
        if shape.get("enum") and self.service not in SELF_CHECKED:
            parts.append(".enum_values = {&kEnums[%d], %d}" % (enum_start, len(shape["enum"])))
        if shape.get("payload"):
            parts.append(".payload = %d" % list(shape["members"]).index(shape["payload"]))
        if shape.get("timestampFormat"):
            parts.append(".time_format = TimeFormat::%s" % TIMES[shape["timestampFormat"]])
        for key, field in (("sensitive", "sensitive"), ("streaming", "streaming"), ("eventstream", "event_stream"),
                           ("union", "is_union"), ("flattened", "flattened")):
            if shape.get(key):
                parts.append(".%s = true" % field)
        if shape.get("locationName"):
            parts.append(".xml_name = %s" % literal(shape["locationName"]))
        parts += self.xml_namespace(shape)
        return "    {%s}," % ", ".join(parts)

    def error_row(self, name):
        shape = self.shapes[name]
        error = shape.get("error", {})
        status = error.get("httpStatusCode", 500 if shape.get("fault") else 400)
        code, query = error.get("code") or name, ""
        if "awsQueryCompatible" in self.model["metadata"]:
            legacy, status = QUERY_ERRORS.get(self.service, {}).get(name, (code, status))
            code = name
            if legacy != name:
                query = ", .query_code = %s" % literal(legacy)
        message = next((m for m in shape.get("members", {}) if m.lower() == "message"), "message")
        return "const ErrorModel %s{.code = %s, .status = %d, .sender_fault = %s, .message_member = %s, " \
               ".type_member = %s%s};" % (
                   identifier(name), literal(code), status,
                   "true" if status < 500 else "false", literal(message),
                   "true" if "Type" in shape.get("members", {}) else "false", query)

    def protocols(self):
        """The model's own protocol first, then the further ones, as far as the engine has them."""
        metadata = self.model["metadata"]
        kinds = {"rest-json": "kRestJson", "query": "kQuery", "rest-xml": "kRestXml", "smithy-rpc-v2-cbor": "kCbor",
                 "json": "kJson10" if metadata.get("jsonVersion") == "1.0" else "kJson11"}
        names = [metadata["protocol"]] + metadata.get("protocols", []) + ALSO.get(self.service, [])
        out = []
        for kind in (kinds[name] for name in names):
            if kind in BUILT_IN and kind not in out:
                out.append(kind)
        if not out:
            sys.exit("generate_service.py: none of the protocols of %s is built in" % self.service)
        return out

    def source(self):
        out = ["// Generated by tools/generate_service.py from the published model of %s. Do not edit." % self.service,
               '#include "aws/gen/%s.h"' % self.service, "",
               "namespace mayfly::aws::%s {" % self.namespace, "namespace {", "",
               "extern const ShapeModel kShapes[%d];" % max(1, len(self.order)), ""]
        members, enums, rows, starts = [], [], [], {}
        for name in self.order:
            rows.append(self.shape_row(name, len(members), len(enums)))
            enums += self.enum_values(name)
            members += [self.member_row(name, m, r) for m, r in self.references(name)]
        out.append("[[maybe_unused]] constinit const std::string_view kEnums[] = {")
        out += ["    %s," % literal(value) for value in enums] + ["    {},", "};", ""]
        out.append("[[maybe_unused]] constinit const MemberModel kMembers[] = {")
        out += members + ["    {},", "};", ""]
        out.append("constinit const ShapeModel kShapes[%d] = {" % max(1, len(self.order)))
        out += rows + ["};", ""]
        out.append("constinit const OperationModel kOperations[] = {")
        positions = {}
        for position, (name, operation) in enumerate(self.operations.items()):
            positions[name] = position
            http = operation.get("http", {})
            parts = [".name = %s" % literal(name), ".method = %s" % literal(http.get("method", "POST")),
                     ".uri = %s" % literal(http.get("requestUri", "/")),
                     ".status = %d" % http.get("responseCode", 200)]
            if name in self.wanted:
                for direction in ("input", "output"):
                    if direction in operation:
                        parts.append(".%s = &kShapes[%d]" % (direction, self.index[operation[direction]["shape"]]))
            out.append("    {%s}," % ", ".join(parts))
        out += ["};", "", "}  // namespace", "", "namespace errors {"]
        out += [self.error_row(name) for name in self.errors()]
        out += ["}  // namespace errors", "", "const ServiceModel& service() {",
                "  static const ErrorModel* const known[] = {"]
        out += ["      &errors::%s," % identifier(name) for name in self.errors()]
        metadata = self.model["metadata"]
        protocols = self.protocols()
        also = ["      .also = also,"] if len(protocols) > 1 else []
        out += ["  };"]
        if also:
            out.append("  static constexpr WireProtocol also[] = {%s};"
                       % ", ".join("WireProtocol::" + name for name in protocols[1:]))
        out += ["  static const ServiceModel model{",
                "      .name = %s," % literal(self.service),
                "      .signing_name = %s," % literal(metadata.get("signingName") or metadata["endpointPrefix"]),
                "      .target_prefix = %s," % literal(metadata.get("targetPrefix", "")),
                "      .protocol = WireProtocol::%s," % protocols[0],
                "      .blob_content_type = %s," % literal(
                    BLOB_CONTENT_TYPES.get(self.service, "application/octet-stream")),
                "      .operations = kOperations,", "      .errors = known,"] + also + [
                "      .api_version = %s," % literal(metadata["apiVersion"]),
                "      .xml_namespace = %s," % literal(
                    QUERY_NAMESPACES.get(self.service) or metadata.get("xmlNamespace", "")),
                "      .query_compatible = %s," % literal(
                    "com.amazonaws.%s#" % self.service if "awsQueryCompatible" in metadata else ""),
                "      .error_detail = %s," % ("true" if self.service in ERROR_DETAIL else "false"),
                "      .bare_errors = %s," % ("true" if self.service in BARE_ERRORS else "false"),
                "      .gzip_requests = %s};" % (
                    "true" if any(o.get("requestcompression") for o in self.operations.values()) else "false"),
                "  return model;", "}", ""]
        for name in self.operations:
            if name in self.wanted:
                out.append("const OperationModel& %s::model() { return kOperations[%d]; }"
                           % (identifier(name), positions[name]))
        out.append("")
        for name in self.structures():
            fields = [member for member, _ in self.references(name) if member != self.blob_payload(name)]
            unused = "" if fields else "[[maybe_unused]] "
            out.append("void from_document(%sconst json::object& document, %s%s& out) {"
                       % (unused, unused, identifier(name)))
            out += ["  codec::read_member(document, %s, out.%s);" % (literal(f), identifier(f)) for f in fields]
            out += ["}", "void to_document(%sconst %s& value, %sjson::object& out) {"
                    % (unused, identifier(name), unused)]
            out += ["  codec::write_member(out, %s, value.%s);" % (literal(f), identifier(f)) for f in fields]
            out += ["}", ""]
        out += ["}  // namespace mayfly::aws::%s" % self.namespace, ""]
        return "\n".join(out)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    service, list_path, folder = sys.argv[1:]
    with open(list_path, encoding="utf-8") as file:
        wanted = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    generator = Generator(service, load_model(service), wanted)
    os.makedirs(folder, exist_ok=True)
    for suffix, text in ((".h", generator.header()), (".cpp", generator.source())):
        with open(os.path.join(folder, service + suffix), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
