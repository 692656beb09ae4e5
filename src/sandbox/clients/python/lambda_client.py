"""The managed Python runtime: finds the handler and answers invocations over the Lambda Runtime API.

Owns the process from start to end. It imports as little as it can before the handler's own module, because each import
is paid for by every cold start: the socket is the C module's, HTTP is read by hand, and logging and traceback are
touched only when the function or an error needs them.
"""

import builtins
import os
import sys
import time

import _socket
import lambda_json

API = "/2018-06-01/runtime/"
# Asks the platform to leave out the receipt of an answer and to send the next event as soon as there is one: one message
# each way for an invocation. What does not know it sends the receipt.
THEN_NEXT = "Mayfly-Then-Next: 1\r\n"
EVENT = "lambda-runtime-aws-request-id"
MAX_HEADER_BYTES = 1 << 20

request_id = None  # of the invocation that runs; the log formatter reads it


class Fault(Exception):
    """An error with a type of the runtime's own, "Runtime.ImportModuleError"; not raised by the function's code."""

    def __init__(self, error_type, message, trace=None):
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.trace = trace or []


class Disconnected(Exception):
    pass


class Client:
    """One kept-alive connection to the Runtime API and the little HTTP that it needs."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.host = address
        self.address = (host.strip("[]") or "127.0.0.1", int(port))
        self.socket = None
        self.buffer = b""

    def connect(self):
        self.socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        self.socket.connect(self.address)
        self.socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self.buffer = b""

    def request(self, method, path, headers="", body=None):
        head = f"{method} {API}{path} HTTP/1.1\r\nHost: {self.host}\r\n{headers}"
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        message = head.encode("utf-8", "replace") + b"\r\n"
        if body:
            message = message + body if len(body) < 65536 else (message, body)
        fresh = self.socket is None
        try:
            return self.exchange(message)
        except (Disconnected, OSError):
            self.socket = None
            # A kept-alive connection may be closed while it is idle. Only asking again is harmless.
            if fresh or method != "GET":
                raise
        return self.exchange(message)

    def exchange(self, message):
        if self.socket is None:
            self.connect()
        for part in message if isinstance(message, tuple) else (message,):
            self.socket.sendall(part)
        return self.read_response()

    def fill(self, size=16384):
        data = self.socket.recv(size)
        if not data:
            raise Disconnected("the Runtime API closed the connection")
        return data

    def read_line_end(self, marker):
        end = self.buffer.find(marker)
        while end < 0:
            if len(self.buffer) > MAX_HEADER_BYTES:
                raise Disconnected("the Runtime API sent an endless header")
            self.buffer += self.fill()
            end = self.buffer.find(marker)
        line, self.buffer = self.buffer[:end], self.buffer[end + len(marker) :]
        return line

    def read_exactly(self, length):
        if len(self.buffer) < length:
            parts, have = [self.buffer], len(self.buffer)
            while have < length:
                data = self.fill(min(262144, max(16384, length - have)))
                parts.append(data)
                have += len(data)
            self.buffer = b"".join(parts)
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return body

    def read_response(self):
        lines = self.read_line_end(b"\r\n\r\n").decode("utf-8", "replace").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self.read_chunked()
        else:
            body = self.read_exactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self.socket = None
        return status, headers, body

    def read_chunked(self):
        parts = []
        while True:
            size = int(self.read_line_end(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self.read_line_end(b"\r\n"):
                    pass
                return b"".join(parts)
            parts.append(self.read_exactly(size))
            self.read_exactly(2)


class CognitoIdentity:
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]

    def __init__(self, values):
        self.cognito_identity_id = values.get("cognitoIdentityId")
        self.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")

    def __repr__(self):
        return describe(self, self.__slots__)


class MobileClient:
    __slots__ = ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self):
        return describe(self, self.__slots__)


class ClientContext:
    __slots__ = ["custom", "env", "client"]

    def __init__(self, values):
        self.custom = values.get("custom")
        self.env = values.get("env")
        client = values.get("client")
        self.client = MobileClient(client) if isinstance(client, dict) else None

    def __repr__(self):
        return describe(self, self.__slots__)


class LambdaContext:
    """What the handler gets as its second argument."""

    fields = [
        "aws_request_id",
        "log_group_name",
        "log_stream_name",
        "function_name",
        "memory_limit_in_mb",
        "function_version",
        "invoked_function_arn",
        "client_context",
        "identity",
    ]

    def __init__(self, headers):
        environ = os.environ
        self.aws_request_id = headers[EVENT]
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        context = json_header(headers, "lambda-runtime-client-context", "Client Context")
        self.client_context = ClientContext(context) if isinstance(context, dict) else None
        identity = json_header(headers, "lambda-runtime-cognito-identity", "Cognito Identity")
        self.identity = CognitoIdentity(identity if isinstance(identity, dict) else {})
        self._deadline_ms = int(headers.get("lambda-runtime-deadline-ms", 0))

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))

    def __repr__(self):
        return describe(self, self.fields)


def describe(thing, names):
    return f"{type(thing).__name__}([" + ",".join(f"{name}={getattr(thing, name, None)}" for name in names) + "])"


def json_header(headers, name, title):
    text = headers.get(name)
    if not text:
        return None
    try:
        return lambda_json.loads(text)
    except ValueError as e:
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {title} JSON: {e}")


def load_handler(handler):
    try:
        module_name, function_name = handler.rsplit(".", 1)
    except ValueError as e:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{handler}': {e}")
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict", f"Cannot use built-in module {module_name} as a handler module")
    try:
        name = module_name.replace("/", ".")
        __import__(name)
        module = sys.modules[name]
    except ImportError as e:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {e}")
    except SyntaxError as e:
        trace = [f'  File "{e.filename}" Line {e.lineno}\n    {e.text}']
        raise Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {e}", trace)
    except ValueError as e:
        # "Empty module name", as of the handler ".handler".
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {e}")
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'")


def error_object(exception, invocation_id):
    if isinstance(exception, Fault):
        message, error_type, trace = exception.message, exception.error_type, exception.trace
    else:
        import traceback

        frames = traceback.extract_tb(exception.__traceback__)
        while frames and frames[0].filename in OWN_FILES:
            frames = frames[1:]
        message, error_type, trace = str(exception), type(exception).__name__, traceback.format_list(frames)
    return {"errorMessage": message, "errorType": error_type, "requestId": invocation_id or "", "stackTrace": trace}


def log_json():
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def log_error(error):
    if log_json():
        import json

        line = {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": "ERROR", **error}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        return
    lines = [f"[ERROR] {error['errorType']}" + (f": {error['errorMessage']}" if error["errorMessage"] else "")]
    lines.append("Traceback (most recent call last):")
    for element in error["stackTrace"]:
        for line in element.splitlines() or [""]:
            text = line.lstrip(" ")
            # Leading spaces would be trimmed by log viewers, so they are written as no-break spaces; and the lines are
            # parted by carriage returns, so that the whole is one log event.
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    sys.stdout.write("\r".join(lines).replace("\n", "\r") + "\n")


OWN_FILES = set()


def set_up_logging(logging):
    """Gives the root logger Lambda's handler and form."""

    class AddRequestId(logging.Filter):
        def filter(self, record):
            record.aws_request_id = request_id or ""
            return True

    class Handler(logging.Handler):
        def emit(self, record):
            try:
                sys.stdout.write(self.format(record))
            except Exception:
                self.handleError(record)

    handler = Handler()
    if log_json():
        handler.setFormatter(json_formatter(logging))
    else:
        form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
        handler.setFormatter(logging.Formatter(form, "%Y-%m-%dT%H:%M:%S"))
    logging.Formatter.converter = time.gmtime
    handler.addFilter(AddRequestId())
    root = logging.getLogger()
    root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level, level)
    if level in ("DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"):
        root.setLevel(level)


def json_formatter(logging):
    import json

    known = set(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"aws_request_id", "taskName", "message"}

    class JsonFormatter(logging.Formatter):
        def format(self, record):
            plain = isinstance(record.msg, dict) and not record.args
            line = {
                "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
                "level": record.levelname,
                "message": record.msg if plain else record.getMessage(),
                "logger": record.name,
                "requestId": record.aws_request_id or None,
            }
            if record.exc_info and record.exc_info[0]:
                import traceback

                line["stackTrace"] = traceback.format_tb(record.exc_info[2])
                line["errorType"] = record.exc_info[0].__name__
                line["errorMessage"] = str(record.exc_info[1])
                line["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
            line.update((k, v) for k, v in record.__dict__.items() if k not in known and k not in line)
            line = {k: v for k, v in line.items() if v is not None}
            return json.dumps(line, ensure_ascii=False, default=str) + "\n"

    return JsonFormatter()


class LoggingHook:
    """Sets logging up at the moment it is first imported: many functions never import it, and it is slow to load."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            set_up_logging(module)

        spec.loader.exec_module = exec_module
        return spec


class HooksModule:
    """Finds snapshot_restore_py beside this file, where no package brings its own. The folder itself is no place of imports."""

    def __init__(self, folder):
        self.file = f"{folder}/snapshot_restore_py.py"

    def find_spec(self, name, path=None, target=None):
        if name != "snapshot_restore_py":
            return None
        import _frozen_importlib_external

        return _frozen_importlib_external.spec_from_file_location(name, self.file)


def set_up_process():
    """The search path, standard output and names that functions expect."""
    task_root = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own_folder = sys.path[0]
    first = [task_root, f"/opt/python/lib/{version}/site-packages", "/opt/python"]
    rest = [p for p in sys.path[1:] if p not in first and p != own_folder]
    # The distribution's own packages come last, where Lambda has the ones it brings along.
    extra = [f"{sys.prefix}/lib/{version}/site-packages", "/usr/lib/python3/dist-packages"]
    sys.path[:] = first + rest + [p for p in extra if p not in rest and os.path.isdir(p)]
    sys.meta_path.append(HooksModule(own_folder))
    # The interpreter is started without the module site, which defines these two.
    if not hasattr(builtins, "exit"):
        builtins.exit = builtins.quit = sys.exit
    # A line is written at once, and as one piece.
    sys.stdout.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    if "logging" in sys.modules:
        set_up_logging(sys.modules["logging"])
    else:
        sys.meta_path.insert(0, LoggingHook())


def wait_for_function(client):
    """Started before it is known for which function: loads what Lambda's own client loads too, and waits to be told.

    Nothing of a function is in this process until then, and it serves that one function to its end.
    """
    control = int(os.environ.pop("MAYFLY_CONTROL_FD"))
    import base64, datetime, decimal, json, logging, traceback, warnings  # noqa: E401, F401

    client.connect()
    os.write(control, b"r")
    parts = []
    while part := os.read(control, 262144):
        parts.append(part)
    os.close(control)
    if not parts:
        os._exit(0)  # the sandbox is given up
    told = json.loads(b"".join(parts))
    os.environ.clear()
    os.environ.update(told["environment"])
    time.tzset()
    os.chdir(told["directory"])


def handle(handler, headers, body, encoder):
    """Runs one invocation: (answer's bytes, content type), or raises what the handler raised."""
    context = LambdaContext(headers)
    event = body
    if headers.get("content-type", "application/json") == "application/json":
        try:
            event = lambda_json.loads(body)
        except ValueError as e:
            raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {e}")
    result = handler(event, context)
    if isinstance(result, bytes):
        return result, "application/unknown"
    try:
        return encoder.encode(result), "application/json"
    except Exception as e:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {e}")


def check(status, what):
    # 413 and kin are recorded by the platform as this invocation's error; only its own failure ends the runtime.
    if status >= 500:
        print(f"The Runtime API answered {status} to {what}.", file=sys.stderr)
        sys.exit(1)


def post_error(client, path, error):
    import json

    body = json.dumps(error).encode("ascii")
    then = THEN_NEXT if path.startswith("invocation/") else ""
    header_type = error["errorType"].encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")
    headers = f"Content-Type: application/json\r\n{then}Lambda-Runtime-Function-Error-Type: {header_type}\r\n"
    return answered(client, path, headers, body)


def answered(client, path, headers, body):
    """Sends an answer; what comes back is the next event, or None where that is to be asked for."""
    reply = client.request("POST", path, headers, body)
    check(reply[0], path)
    return reply if EVENT in reply[1] else None


def fail_start(client, path, error, status):
    log_error(error)
    sys.stdout.flush()
    post_error(client, path, error)
    sys.exit(status)


def hook_error(error_type, exception):
    error = error_object(exception, None)
    return {**error, "errorType": error_type, "errorMessage": f"{error['errorType']}: {error['errorMessage']}"}


def rest_until_restored(client):
    """With SnapStart: the function is initialised now, and goes on when an invocation needs it.

    The process that rests is the one that goes on; only one that never imported the module of hooks has none.
    """
    hooks = sys.modules.get("snapshot_restore_py")
    try:
        for func, args, kwargs in reversed(hooks.get_before_snapshot() if hooks else ()):
            func(*args, **kwargs)
    except Exception as e:
        fail_start(client, "init/error", hook_error("Runtime.BeforeSnapshotError", e), 64)
    sys.stdout.flush()
    status, _, _ = client.request("GET", "restore/next")
    if status != 200:
        sys.exit(1)
    try:
        for func, args, kwargs in hooks.get_after_restore() if hooks else ():
            func(*args, **kwargs)
    except Exception as e:
        fail_start(client, "restore/error", hook_error("Runtime.AfterRestoreError", e), 65)


def main():
    global request_id
    OWN_FILES.update((__file__, lambda_json.__file__, sys.argv[0]))
    client = Client(os.environ["AWS_LAMBDA_RUNTIME_API"])
    if "MAYFLY_CONTROL_FD" in os.environ:
        wait_for_function(client)
    else:
        client.connect()  # the platform tells the interpreter's start from the function's own by it
    set_up_process()
    try:
        handler = load_handler(os.environ.get("_HANDLER", ""))
    except Exception as e:
        fail_start(client, "init/error", error_object(e, None), 1)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        rest_until_restored(client)

    encoder = lambda_json.Encoder()
    event = None
    traced = False
    while True:
        status, headers, body = event or client.request("GET", "invocation/next")
        if status != 200:
            print(f"The Runtime API answered {status} to invocation/next.", file=sys.stderr)
            sys.exit(1)
        request_id = headers[EVENT]
        trace_id = headers.get("lambda-runtime-trace-id")
        if trace_id:
            os.environ["_X_AMZN_TRACE_ID"] = trace_id
        elif traced:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        traced = bool(trace_id)
        try:
            answer, content_type = handle(handler, headers, body, encoder)
        except Exception as e:
            error = error_object(e, request_id)
            log_error(error)
            sys.stdout.flush()
            event = post_error(client, f"invocation/{request_id}/error", error)
            continue
        sys.stdout.flush()
        sys.stderr.flush()
        path = f"invocation/{request_id}/response"
        event = answered(client, path, f"Content-Type: {content_type}\r\n{THEN_NEXT}", answer)
