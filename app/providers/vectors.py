"""Vectors as they are sent: lists of numbers, or 32-bit floats in base64."""

import struct
from base64 import b64decode

LARGEST_FLOAT = 3.4028234663852886e38


def is_vector(vector: object) -> bool:
    """Numbers that are 32-bit floats, or such floats in base64."""
    if isinstance(vector, str):
        vector = floats_in(vector)
    if not isinstance(vector, list) or not vector:
        return False
    return all(type(number) in (int, float) and abs(number) <= LARGEST_FLOAT for number in vector)


def floats_in(text: str) -> list[float]:
    """The 32-bit floats, least byte first, that are there in base64; none where it is something else."""
    try:
        packed = b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    except (ValueError, struct.error):
        return []
