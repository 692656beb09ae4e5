"""JSON for the managed runtime, as Lambda reads and writes it, without importing the module json where that can be helped.

That module imports re, enum and functools, which together cost more than the rest of the runtime's start. The scanner and
the encoder are in the C module _json, which is used directly; whatever that does not take, and every error, goes to json
itself, so that results and messages are always those of json.
"""

import os
import sys


class Scanner:
    """The settings that the C scanner reads: those of json.loads without arguments."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__
    memo = {}


try:
    import _json

    scan = _json.make_scanner(Scanner)
except (ImportError, AttributeError, TypeError):
    _json = scan = None

SPACE = " \t\n\r"


def loads(body):
    if scan is not None and "json" not in sys.modules:
        try:
            text = body if isinstance(body, str) else body.decode("utf-8")
            text = text.strip(SPACE)
            value, end = scan(text, 0)
            if end == len(text):
                return value
        except Exception:
            pass  # json says what is wrong
    import json

    return json.loads(body)


class Encoder:
    """JSON as Lambda writes it: decimals as numbers of the same digits, bytes inside a value as text."""

    def __init__(self):
        # Runtimes before 3.12 escape what is not ASCII, later ones do not.
        self.ascii_only = runtime_version() < (3, 12)
        # The standard encoder cannot write a number from text. A decimal becomes a marked string whose marks and
        # quotes are removed afterwards; the mark is random, so no function's own text can hold it.
        self.mark = os.urandom(16).hex()
        self.marked = False
        self.json_encoder = None

    def default(self, value):
        if isinstance(value, (bytes, bytearray)):
            return value.decode("utf-8")
        decimal = sys.modules.get("decimal")
        if decimal is not None and isinstance(value, decimal.Decimal):
            if value.is_nan():
                return float("nan")
            self.marked = True
            return f"{self.mark}{value}{self.mark}"
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    def to_text(self, value):
        if _json is not None and "json" not in sys.modules:
            quote = _json.encode_basestring_ascii if self.ascii_only else _json.encode_basestring
            try:
                make = _json.make_encoder({}, self.default, quote, None, ": ", ", ", False, False, True)
                return "".join(make(value, 0))
            except Exception:
                pass  # json says what is wrong
        if self.json_encoder is None:
            import json

            self.json_encoder = json.JSONEncoder(ensure_ascii=self.ascii_only, default=self.default)
        return self.json_encoder.encode(value)

    def encode(self, value):
        text = self.to_text(value)
        if self.marked:
            self.marked = False
            text = text.replace('"' + self.mark, "").replace(self.mark + '"', "")
        return text.encode("utf-8")


def runtime_version():
    name = os.environ.get("AWS_EXECUTION_ENV", "")
    try:
        major, minor = name.rpartition("python")[2].split(".")
        return int(major), int(minor)
    except ValueError:
        return tuple(sys.version_info[:2])
