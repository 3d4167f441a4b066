"""Small PDF and office files with the text that they are given, and harmless ones that would cost a reader much."""

import re
import zipfile
from collections.abc import Sequence
from io import BytesIO

from docx import Document
from openpyxl import Workbook
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PRESENTATION = "http://schemas.openxmlformats.org/presentationml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
MAIN_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"


def pdf(pages: Sequence[str], password: str = "") -> bytes:
    """A page of one line each."""
    return pdf_of([f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode() for text in pages], password)


def pdf_of(streams: Sequence[bytes], password: str = "") -> bytes:
    """A page for each stream of drawing commands."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for drawn in streams:
        page, stream = writer.add_blank_page(612, 792), DecodedStreamObject()
        stream.set_data(drawn)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        page[NameObject("/Contents")] = writer._add_object(stream.flate_encode())
    if password:
        writer.encrypt(password, algorithm="AES-256")
    return saved(writer.write)


def docx(paragraphs: Sequence[str], rows: Sequence[Sequence[str]] = ()) -> bytes:
    document = Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if rows:
        table = document.add_table(len(rows), len(rows[0]))
        for row, cells in zip(table.rows, rows, strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                cell.text = text
    return saved(document.save)


def xlsx(rows: Sequence[Sequence[object]], sheet: str = "Ferries") -> bytes:
    book = Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    return saved(book.save)


def misjudged(book: bytes) -> bytes:
    """The same, with a first sheet that says it had one cell, as some programs write it."""
    with zipfile.ZipFile(BytesIO(book)) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    return zipped(parts | {sheet: re.sub(rb'<dimension ref="[^"]+"', b'<dimension ref="A1"', parts[sheet])})


def pptx(slides: Sequence[str]) -> bytes:
    """Slides of a line each, stored in the opposite order to the one in which they are shown."""
    ids = "".join(f'<p:sldId id="{256 + n}" r:id="r{n}"/>' for n in range(len(slides)))
    related = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/slide" Target="slides/slide{len(slides) - n}.xml"/>'
        for n in range(len(slides))
    )
    start = f'<Relationship Id="r0" Type="{OFFICE}/officeDocument" Target="ppt/presentation.xml"/>'
    namespaces = f'xmlns:p="{PRESENTATION}" xmlns:a="{DRAWING}" xmlns:r="{OFFICE}"'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/ppt/presentation.xml" ContentType="{MAIN_TYPE}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}">{start}</Relationships>',
        "ppt/presentation.xml": f"<p:presentation {namespaces}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": f'<Relationships xmlns="{RELATIONS}">{related}</Relationships>',
    }
    for number, text in enumerate(slides):
        shape = f"<p:sp><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
        name = f"ppt/slides/slide{len(slides) - number}.xml"
        parts[name] = f"<p:sld {namespaces}><p:cSld><p:spTree>{shape}</p:spTree></p:cSld></p:sld>"
    return zipped({name: text.encode() for name, text in parts.items()})


def zipped(parts: dict[str, bytes]) -> bytes:
    held = BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name, content)
    return held.getvalue()


def saved(save: object) -> bytes:
    held = BytesIO()
    save(held)  # type: ignore[operator]
    return held.getvalue()


def bomb() -> bytes:
    """A package of 120 kB that unpacks to 120 MB."""
    return zipped({"word/document.xml": bytes(120_000_000)})


def slow_pdf() -> bytes:
    """A page of 40 kB whose drawing takes a reader minutes."""
    return pdf_of([b"BT /F1 12 Tf " + b"1 0 0 1 0 0 Tm (a) Tj " * 600_000 + b"ET"])
