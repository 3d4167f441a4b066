"""The text of a PDF or an office file, read by a process of its own.

`python -I file_reader.py MOST_BYTES SECONDS < file`: it imports nothing of ours and is given nothing but the bytes.
Answers JSON: `text`, with `excerpt` where it was cut, or `problem`, a key of `PROBLEMS` in file_text.py.
After half of its seconds of the processor it stops between two pages, after all of them it is ended.
Of the libraries it loads the one that the file asks for: each takes a fifth of a second.
"""

import json
import resource
import sys
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from typing import Any

MEGABYTE = 1_000_000
MOST_MEMORY = 400 * MEGABYTE
MOST_UNPACKED = 60 * MEGABYTE
MOST_UNITS = {"pages": 2_000, "slides": 2_000, "paragraphs": 50_000, "rows": 50_000}
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
SLIDE_ID = "{http://schemas.openxmlformats.org/presentationml/2006/main}sldId"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


class NotReadable(Exception):
    """Its text is a key of `PROBLEMS`."""


def main(most: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        answer = read(sys.stdin.buffer.read(), most, seconds / 2)
    except NotReadable as problem:
        answer = {"problem": str(problem)}
    except MemoryError:
        answer = {"problem": "dear"}
    except Exception:
        # The libraries raise everything for bytes that are not what they say.
        answer = {"problem": "broken"}
    sys.stdout.buffer.write(json.dumps(answer).encode())


def read(content: bytes, most: int, seconds: float) -> dict[str, str]:
    """Its text, at most so many bytes of it: whole pages, as far as they fit and time allows."""
    unit, total, texts = units(content)
    parts, seen, room = list[str](), 0, most
    for text in islice(texts, MOST_UNITS[unit]):
        if time.process_time() > seconds:
            break
        part = plain(text).strip("\n")
        room -= len(part.encode()) + 2
        if room < 0:
            break
        seen += 1
        if part.strip():
            parts.append(part)
    else:
        total = seen if seen < MOST_UNITS[unit] else total
    if not parts and room < 0:
        return {"text": part.encode()[:most].decode(errors="ignore"), "excerpt": f"the first {most:,} bytes"}
    if not parts:
        raise NotReadable("no text" if seen == total else "dear")
    joined = ("\n\n" if unit in {"pages", "slides"} else "\n").join(parts)
    return {"text": joined} | ({} if seen == total else {"excerpt": excerpt(seen, total, unit)})


def excerpt(shown: int, total: int | None, unit: str) -> str:
    return f"the first {shown:,} of {total:,} {unit}" if total else f"the first {shown:,} {unit}"


def units(content: bytes) -> tuple[str, int | None, Iterator[str]]:
    """What it is counted in, how many there are (None: as many as come) and their texts."""
    if content.startswith(OLD_OFFICE):
        raise NotReadable("encrypted" if "EncryptedPackage".encode("utf-16-le") in content else "old")
    if not content.startswith(b"PK"):
        return of_pdf(content)
    with zipfile.ZipFile(BytesIO(content)) as package:
        if sum(entry.file_size for entry in package.infolist()) > MOST_UNPACKED:
            raise NotReadable("dear")
        names = set(package.namelist())
    if "xl/workbook.xml" in names:
        return "rows", None, of_workbook(content)
    if "ppt/presentation.xml" in names:
        slides = [*slides_of(content)]
        return "slides", len(slides), iter(slides)
    if "word/document.xml" in names:
        return "paragraphs", None, of_document(content)
    raise NotReadable("unknown")


def of_pdf(content: bytes) -> tuple[str, int, Iterator[str]]:
    from pypdf import PdfReader  # noqa: PLC0415
    from pypdf.errors import LimitReachedError  # noqa: PLC0415

    reader = PdfReader(BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise NotReadable("encrypted")

    def texts() -> Iterator[str]:
        try:
            yield from (page.extract_text() for page in reader.pages)
        except LimitReachedError:
            raise NotReadable("dear") from None

    return "pages", len(reader.pages), texts()


def of_document(content: bytes) -> Iterator[str]:
    from docx import Document  # noqa: PLC0415
    from lxml.etree import strip_elements  # noqa: PLC0415

    body = Document(BytesIO(content)).element.body
    strip_elements(body, FALLBACK, with_tail=False)
    yield from paragraphs(body)


def paragraphs(element: Any) -> Iterator[str]:
    """Of a Word text in its order: a row of a table is a line, its cells between tabs."""
    for child in element:
        if child.tag == f"{WORD}p":
            yield line_of(child)
        elif child.tag == f"{WORD}tr":
            cells = child.iter(f"{WORD}tc")
            yield "\t".join(" ".join(map(line_of, cell.iter(f"{WORD}p"))) for cell in cells)
        else:
            yield from paragraphs(child)


def line_of(paragraph: Any) -> str:
    spaces = {f"{WORD}tab": "\t", f"{WORD}br": "\n"}
    runs = paragraph.iter(f"{WORD}t", *spaces)
    return "".join(spaces.get(run.tag) or run.text or "" for run in runs)


def slides_of(content: bytes) -> Iterator[str]:
    """The words of each slide in the order in which they are shown, a paragraph a line."""
    from docx.opc.oxml import parse_xml  # noqa: PLC0415
    from docx.opc.package import OpcPackage  # noqa: PLC0415

    shown = OpcPackage.open(BytesIO(content)).main_document_part
    for slide in parse_xml(shown.blob).iter(SLIDE_ID):
        drawn = parse_xml(shown.rels[slide.get(RELATION)].target_part.blob)
        yield "\n".join(
            "".join(run.text or "" for run in line.iter(f"{DRAWING}t")) for line in drawn.iter(f"{DRAWING}p")
        )


def of_workbook(content: bytes) -> Iterator[str]:
    """Each sheet's name, then its rows as they are shown: values, not formulas, between tabs."""
    from openpyxl import load_workbook  # noqa: PLC0415

    for sheet in load_workbook(BytesIO(content), read_only=True, data_only=True).worksheets:
        sheet.reset_dimensions()  # what the file says of its own size may be wrong
        yield f"# {sheet.title}"
        for row in sheet.iter_rows(values_only=True):
            yield "\t".join("" if cell is None else str(cell) for cell in row).rstrip()


def plain(text: str) -> str:
    """Without what no text holds: control characters, halves of characters."""
    text = text.encode(errors="ignore").decode()
    return "".join(letter for letter in text if letter >= " " or letter in "\n\t").replace("\x7f", "")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
