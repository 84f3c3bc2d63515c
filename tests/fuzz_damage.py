"""Ways to damage a file: its bytes as disks do, or what it says as other programs and people do."""

import json
import random
import struct
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from xml.etree import ElementTree

Damage = Callable[[bytes, random.Random], bytes]

ODD = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1)
WORDS = (b"null", b"-1", b"1e999", b"[]", b"{}", b'""', b"true", b"NaN", b"99999999999999999999")
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 255, 256, 2**31, 2**32 - 1, 2**63, 10**30, 0.5, -1e308, 1e308,
    float("inf"), float("nan"), "", "0", "-1", "x", "../../x", "a/b", "\x00", "é", "#ff0000", "{",
    [], [[]], [0], [1, 2, 3], [None], {}, {"a": 1}, {"name": None}, [1e308, 1e308], "9" * 50,
)  # fmt: skip


def in_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, drop, overwrite, insert, repeat; replace a number by an odd one."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not found:
            return bytes(found)
        at = rng.randrange(min(len(found), rng.choice((64, 1024, len(found)))))
        kind = rng.randrange(7)
        if kind == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del found[at:]
        elif kind == 2:
            del found[at : at + rng.randint(1, 16)]
        elif kind == 3:
            found[at : at + 4] = struct.pack(rng.choice("<>") + "Q", rng.choice(ODD))[:4]
        elif kind == 4:
            found[at:at] = rng.randbytes(rng.randint(1, 16))
        elif kind == 5:
            found[at:at] = found[at : at + rng.randint(1, 64)]
        else:
            _odd_number(found, at, rng)
    return bytes(found)


def _odd_number(found: bytearray, at: int, rng: random.Random) -> None:
    numbers = [place for place in range(len(found)) if chr(found[place]).isdigit()]
    place = rng.choice(numbers) if numbers else at
    end = place + 1
    while end < len(found) and chr(found[end]).isdigit():
        end += 1
    found[place:end] = rng.choice(WORDS)


def values(content: Any, rng: random.Random) -> Any:
    """Replace, drop, repeat or rename some nodes of parsed JSON or YAML."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(content))
        if not places:
            return deepcopy(rng.choice(VALUES))
        holder, key = rng.choice(places)
        kind = rng.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif kind == 2:
            other, name = rng.choice(places)
            if name in (other if isinstance(other, dict) else range(len(other))):
                holder[key] = json.loads(json.dumps(other[name]))
        elif kind == 3:
            holder[key] = [holder[key]]
        else:
            holder[key] = deepcopy(rng.choice(VALUES))
    return content


def _places(content: Any) -> Any:
    keys = content if isinstance(content, dict) else range(len(content))
    for key in list(keys) if isinstance(content, dict | list) else ():
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])


def in_json(data: bytes, rng: random.Random) -> bytes:
    """Damage what a JSON file says; it is JSON afterwards."""
    return json.dumps(values(json.loads(data), rng)).encode()


def in_lines_of_json(data: bytes, rng: random.Random) -> bytes:
    """Damage what a line of JSON Lines says."""
    lines = data.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = in_json(lines[at], rng)
    return b"\n".join(lines)


def in_xml(data: bytes, rng: random.Random) -> bytes:
    """Damage attributes, texts and children of XML; it is XML afterwards."""
    root = ElementTree.fromstring(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        node = rng.choice(list(root.iter()))
        text = rng.choice([str(value).replace("\x00", "") for value in VALUES])
        if node.attrib and rng.random() < 0.7:
            name = rng.choice(list(node.attrib))
            if rng.random() < 0.25:
                del node.attrib[name]
            else:
                node.set(name, text)
        elif len(node) and rng.random() < 0.5:
            node.append(rng.choice(list(node)))
        else:
            node.tag, node.text = rng.choice((node.tag, "mask", "ellipse", "polygon")), text
    return ElementTree.tostring(root)


def in_yaml(data: bytes, rng: random.Random) -> bytes:
    """Damage what a YAML file says; it is YAML afterwards."""
    import yaml

    return yaml.safe_dump(values(yaml.safe_load(data), rng)).encode()


def in_header(data: bytes, rng: random.Random) -> bytes:
    """Damage the header of a safetensors file, or the JSON that stands in its metadata."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    told = header.get("__metadata__", {})
    inner = [name for name, text in told.items() if text.startswith(("{", "["))]
    if inner and rng.random() < 0.8:
        name = rng.choice(inner)
        told[name] = json.dumps(values(json.loads(told[name]), rng))
    else:
        header = values(header, rng)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def in_words(data: bytes, rng: random.Random) -> bytes:
    """Replace words of a text by odd ones; lines, commas, colons and blanks stay."""
    import re

    parts = re.split(rb"([\s,:;=&?{}\[\]\"]+)", data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = 2 * rng.randrange((len(parts) + 1) // 2)
        parts[at] = rng.choice(
            (*WORDS, b"", b"-", b"1e308", b"x" * 300, b"\xff\xfe", b"%00", b"\xc3\xa9")
        )
    return b"".join(parts)
