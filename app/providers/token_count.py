"""Counting tokens without a vocabulary: at Stop, where usage is missing, and for what fits into a window."""

import re

UNITS = 96
"""A token in the units that are added up."""

ASCII, OTHER, NUMBER, DIGIT, CODE, RUN = (
    UNITS // 4,
    UNITS // 3,
    UNITS // 2,
    UNITS,
    UNITS * 5 // 8,
    UNITS // 32,
)
NUMBERS = re.compile(r"\d[\d.,:/-]+\d")
CODES = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
RUNS = re.compile(r"([ \t\n\r.*#=_~+-])\1{15,}")
SHORT_RUNS = re.compile(r"([\n.*#=_~+-])\1{3,}")
ALPHABETS = re.compile(r"[\u0370-\u1fff]+")
"""Greek to the scripts of India and beyond: two or three bytes a letter, and letters make words."""

MARKS = bytes(code for code in range(33, 127) if not chr(code).isalnum())
DIGITS = b"0123456789"
RARE = re.compile("[\u0300-\u036f\u0780-\u07ff\u0d80-\u0dff\u0e80-\u109f\u1200-\u1bff]+")
"""Accents by themselves, and alphabets that most vocabularies have no words of: Sinhala, Lao, Amharic, Khmer, ..."""

FEWEST_NUMBERS = 64
"""Characters of numbers in a text from which on they are a table's, rather than a year or a sum among words."""

FEWEST_DIGITS = 8
"""A long word is a hash, a key or base64 where at least every eighth of its characters is a digit."""

DIGIT_BY_DIGIT = re.compile(r"qwen|qwq|gemini|gemma|mi[sx]tral|magistral|codestral|llama-?2", re.IGNORECASE)
LARGE = re.compile(r"gpt-(4o|4\.1|5|6|oss)|\bo[134]\b|gemini|gemma-?[34]", re.IGNORECASE)
"""Families by their names: those whose vocabulary has no number of two digits, and those that know most alphabets."""


def estimate_tokens(text: str, model: str = "") -> int:
    """ASCII bytes / 4 + other bytes / 3, rounded up; what is known to count otherwise is counted apart.

    That is numbers in number, codes, long runs of one mark, and for the families that know them alphabets; and by
    their pieces, where that is more, texts of short words, marks and lines, such as code. `docs/providers.md` has the
    band by kind of text. Never more than the text's bytes.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    ascii_text = text.encode("ascii", "ignore")
    units = len(ascii_text) * ASCII + difference(text, model)
    if len(ascii_text) >= FEWEST_NUMBERS:
        units = max(units, pieces_of(text if size == len(text) else ascii_text.decode()))
    if size > len(ascii_text):
        units += (size - len(ascii_text)) * OTHER + scripts_difference(text, is_large=bool(LARGE.search(model)))
    return min(size, -(-units // UNITS))


def pieces_of(text: str) -> int:
    """Each word at least one token, two marks, digits or ends of lines another one, in units."""
    plain = SHORT_RUNS.sub(r"\1", text).encode()
    unmarked = plain.translate(None, MARKS)
    letters = unmarked.translate(None, DIGITS)
    halves = len(plain) - len(letters) + plain.count(b"\n")
    return len(plain.split()) * UNITS + halves * (UNITS // 2)


def scripts_difference(text: str, *, is_large: bool) -> int:
    """Half of what letters count for the families that know most alphabets; twice for what hardly any knows."""
    rare = sum(len(match[0].encode()) for match in RARE.finditer(text)) * OTHER
    known = sum(len(match[0].encode()) for match in ALPHABETS.finditer(text)) * OTHER if is_large else 0
    return rare - max(0, known - rare) // 2


def difference(text: str, model: str) -> int:
    """How much more or less than letters the numbers, codes and runs in the text count, in units."""
    numbers = sum(match.end() - match.start() for match in NUMBERS.finditer(text))
    each = DIGIT if DIGIT_BY_DIGIT.search(model) else NUMBER
    has_table = numbers >= FEWEST_NUMBERS
    more = numbers * (each - ASCII) if has_table else 0
    more += sum(code_units(match[0], has_table=has_table) for match in CODES.finditer(text))
    return more + sum((RUN - ASCII) * (match.end() - match.start()) for match in RUNS.finditer(text))


def code_units(word: str, *, has_table: bool) -> int:
    """What a hash or a key counts beyond letters; a word is none. With a table its numbers are counted already."""
    digits = sum(map(str.isdecimal, word))
    if digits * FEWEST_DIGITS < len(word):
        return 0
    counted = sum(match.end() - match.start() for match in NUMBERS.finditer(word)) if has_table else 0
    return max(0, len(word) - counted) * (CODE - ASCII)
