"""Small pictures of known content, as PNG, with the standard library only."""

from __future__ import annotations

import base64
import struct
import zlib

Colour = tuple[int, int, int]
RED: Colour = (220, 20, 20)
BLUE: Colour = (20, 40, 220)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
SIDE = 224
"""Pixels; enough for every image encoder of the plan, some refuse less than 28."""

GLYPH_ROWS = 7
_GLYPHS = {
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}


def png(rows: list[list[Colour]]) -> bytes:
    """Encode rows of RGB pixels."""
    raw = b"".join(b"\0" + bytes(value for pixel in row for value in pixel) for row in rows)
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(raw, 9)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def plain(colour: Colour, side: int = SIDE) -> bytes:
    """A square of one colour."""
    return png([[colour] * side for _ in range(side)])


def written(text: str, scale: int = 10, margin: int = 40) -> bytes:
    """``text`` in black capitals on white.

    Raises:
        KeyError: a character without a glyph.
    """
    glyphs = [_GLYPHS[char].split() for char in text]
    width = 2 * margin + (6 * len(text) - 1) * scale
    blank = [WHITE] * width
    rows = [blank] * margin
    for line in range(GLYPH_ROWS):
        bits = "0".join(glyph[line] for glyph in glyphs)
        inked = [BLACK if bit == "1" else WHITE for bit in bits for _ in range(scale)]
        row = [WHITE] * margin + inked + [WHITE] * margin
        rows += [row] * scale
    return png(rows + [blank] * margin)


def data_url(image: bytes) -> str:
    """``data:image/png;base64,...``."""
    return "data:image/png;base64," + base64.b64encode(image).decode("ascii")
