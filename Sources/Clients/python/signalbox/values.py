"""Values: whatever a program has, as what JSON can hold (RFC 8259). Nothing here fails: a value that has no form is given as text.

Knows no event. What a server reads back is not what was put in where Python is richer than JSON; the table is in `plain`.
"""
from __future__ import annotations

import base64
import dataclasses
import enum
import json
import math
from collections.abc import Mapping, Set
from datetime import date, time
from typing import Any

DEPTH_MAX = 100  # The server reads 128 levels; an event has some of its own.
INTEGER_BITS_MAX = 4096  # Python refuses to write integers of more than 4300 digits.


def plain(value: Any, depth: int = 0) -> Any:
    """The value with nothing in it but what JSON has.

    NaN and the infinities become null, as in JavaScript; sets, tuples and arrays lists; dates ISO 8601; bytes Base64; enumerations their
    value; data classes and pydantic models objects; every other object its text. What lies too deep, as in a value that contains itself,
    becomes text too.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, depth + 1) if depth < DEPTH_MAX else words(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= INTEGER_BITS_MAX else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (date, time)):  # A datetime is a date.
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if depth >= DEPTH_MAX:
        return words(value)
    try:
        return _composed(value, depth + 1)
    except Exception:
        return words(value)  # A value whose own methods fail.


def _composed(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): plain(member, depth) for key, member in value.items()}
    if isinstance(value, (list, tuple, Set)):
        return [plain(element, depth) for element in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), depth) for field in dataclasses.fields(value)}
    if not isinstance(value, type):
        # model_dump: pydantic. tolist: arrays and numbers of numpy and its like.
        for name in ("model_dump", "tolist"):
            method = getattr(value, name, None)
            if callable(method):
                return plain(method(), depth)
    return words(value)


def _key(key: Any) -> str:
    key = plain(key)
    return key if isinstance(key, str) else json.dumps(key) if key is None or isinstance(key, (bool, int, float)) else words(key)


def words(value: Any) -> str:
    """The value as text, whatever its own methods do."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def encode(value: Any) -> bytes:
    """The value as JSON text in UTF-8. Half a surrogate pair, which UTF-8 cannot hold, becomes a question mark."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def clipped(value: Any, bytes_max: int) -> str:
    """The value as a text that takes at most so many bytes; one that was cut ends in an ellipsis."""
    text = words(value)
    data = text.encode("utf-8", "replace")
    if len(data) <= bytes_max:
        return text
    end = "…"
    return data[:bytes_max - len(end.encode())].decode("utf-8", "ignore") + end
