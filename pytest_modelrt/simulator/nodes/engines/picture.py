"""What a simulated vision model sees in a PNG: its main colour, and text in plain capitals."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
"""Colour type -> values per pixel (grey, RGB, grey and alpha, RGBA)."""
_MOST_PIXELS = 16_000_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {
    "red": (220, 20, 20),
    "green": (20, 180, 40),
    "blue": (20, 40, 220),
    "yellow": (240, 220, 30),
    "orange": (240, 140, 20),
    "purple": (130, 30, 160),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "gray": (128, 128, 128),
}
_ROWS, _COLUMNS = 7, 5
_FONT = {
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "B": "11110 10001 10001 11110 10001 10001 11110",
    "C": "01110 10001 10000 10000 10000 10001 01110",
    "D": "11110 10001 10001 10001 10001 10001 11110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "F": "11111 10000 10000 11110 10000 10000 10000",
    "G": "01110 10001 10000 10111 10001 10001 01110",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "J": "00111 00010 00010 00010 00010 10010 01100",
    "K": "10001 10010 10100 11000 10100 10010 10001",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "N": "10001 11001 10101 10011 10001 10001 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "Q": "01110 10001 10001 10001 10101 10010 01101",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "U": "10001 10001 10001 10001 10001 10001 01110",
    "V": "10001 10001 10001 10001 10001 01010 00100",
    "W": "10001 10001 10001 10101 10101 11011 10001",
    "X": "10001 10001 01010 00100 01010 10001 10001",
    "Y": "10001 10001 01010 00100 00100 00100 00100",
    "Z": "11111 00001 00010 00100 01000 10000 11111",
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111",
    "3": "11110 00001 00001 01110 00001 00001 11110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}
_GLYPHS = {char: rows.replace(" ", "") for char, rows in _FONT.items()}


class PictureError(ValueError):
    """Not an image this engine can read."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in a picture."""

    width: int
    height: int
    colour: str
    """Name of the most frequent colour."""
    text: str
    """Text in 5x7 capitals and digits; empty when there is none."""


def look(url: str) -> Seen:
    """Look at an image given as a data URI.

    Raises:
        PictureError: another kind of URI, not base64, not a PNG, or a PNG of a rare kind.
    """
    head, separator, payload = url.partition(",")
    if not head.startswith("data:image/") or not separator:
        raise PictureError(f"Invalid image: {url[:60]!r} is not a data URI")
    try:
        data = base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise PictureError(f"Invalid base64 image data: {error}") from None
    rows = _decode(data)
    counts = Counter(pixel for row in rows[::4] for pixel in row[::4])
    main = counts.most_common(1)[0][0]
    return Seen(len(rows[0]), len(rows), _colour_name(main), _read_text(rows))


def _colour_name(pixel: tuple[int, int, int]) -> str:
    return min(_COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(pixel, _COLOURS[name], strict=True)))


def _decode(data: bytes) -> list[list[tuple[int, int, int]]]:
    if not data.startswith(_SIGNATURE):
        raise PictureError("cannot identify image file")
    header, body, position = b"", b"", len(_SIGNATURE)
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, chunk = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length
        if kind == b"IHDR":
            header = chunk
        elif kind == b"IDAT":
            body += chunk
    if len(header) != 13:
        raise PictureError("cannot identify image file")
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    depth, colour_type, interlace = header[8], header[9], header[12]
    if depth != 8 or colour_type not in _CHANNELS or interlace or not 0 < width * height <= _MOST_PIXELS:
        raise PictureError("unsupported PNG: use 8 bits per channel without palette and interlacing")
    try:
        raw = zlib.decompress(body)
    except zlib.error as error:
        raise PictureError(f"broken PNG data: {error}") from None
    channels = _CHANNELS[colour_type]
    if len(raw) < height * (width * channels + 1):
        raise PictureError("image file is truncated")
    return [_pixels(line, channels) for line in _unfilter(raw, width * channels, height, channels)]


def _pixels(line: bytes, channels: int) -> list[tuple[int, int, int]]:
    if channels < 3:
        return [(grey, grey, grey) for grey in line[::channels]]
    return list(zip(line[::channels], line[1::channels], line[2::channels], strict=True))


def _unfilter(raw: bytes, stride: int, height: int, step: int) -> list[bytes]:
    lines: list[bytes] = []
    before = bytes(stride)
    for row in range(height):
        start = row * (stride + 1)
        line = bytearray(raw[start + 1 : start + 1 + stride])
        kind = raw[start]
        if kind:
            for index in range(stride):
                left = line[index - step] if index >= step else 0
                corner = before[index - step] if index >= step else 0
                line[index] = (line[index] + _predict(kind, left, before[index], corner)) & 0xFF
        before = bytes(line)
        lines.append(before)
    return lines


def _predict(kind: int, left: int, above: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:
        return above
    if kind == 3:
        return (left + above) // 2
    estimate = left + above - corner
    return min((left, above, corner), key=lambda value: abs(estimate - value))


def _read_text(rows: Sequence[Sequence[tuple[int, int, int]]]) -> str:
    """Decode one line of 5x7 glyphs, dark on light, with one empty column between them."""
    ink = [[sum(pixel) < 384 for pixel in row] for row in rows]
    inked = [index for index, row in enumerate(ink) if any(row)]
    if not inked or len(inked) == len(rows):
        return ""
    top, bottom = inked[0], inked[-1] + 1
    columns = [index for index in range(len(ink[0])) if any(row[index] for row in ink[top:bottom])]
    scale = (bottom - top) // _ROWS
    if scale < 1:
        return ""
    readings = [_read_from(ink, top, columns[0] - shift * scale, columns[-1], scale) for shift in range(_COLUMNS // 2)]
    return min(readings, key=lambda reading: reading[0])[1].strip()


def _read_from(ink: Sequence[Sequence[bool]], top: int, left: int, right: int, scale: int) -> tuple[int, str]:
    """The best reading when the first glyph starts at ``left``, with how far it is from the font."""
    distance, text = 0, ""
    while left <= right:
        cell = "".join(
            "1" if _dark(ink, top + row * scale + scale // 2, left + column * scale + scale // 2) else "0"
            for row in range(_ROWS)
            for column in range(_COLUMNS)
        )
        char = min(_GLYPHS, key=lambda known: _differences(_GLYPHS[known], cell))
        distance += _differences(_GLYPHS[char], cell)
        text += char
        left += (_COLUMNS + 1) * scale
    return distance, text


def _dark(ink: Sequence[Sequence[bool]], row: int, column: int) -> bool:
    return 0 <= row < len(ink) and 0 <= column < len(ink[0]) and ink[row][column]


def _differences(left: str, right: str) -> int:
    return sum(a != b for a, b in zip(left, right, strict=True))
