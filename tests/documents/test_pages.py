"""The pages of documents, and documents as files."""

from io import BytesIO

import docx
import pytest

from app.documents.docx import as_docx
from app.documents.views import page_of

BODY = """# Ferries & <b>boats</b>

They *float*, **all** of them. `Code` too.

- one 🐟
- two

> said

```
x = 1
```

| a | b |
|---|---|
| c | d |
"""


def test_a_word_document_has_every_word_in_its_style() -> None:
    made = docx.Document(BytesIO(as_docx("Ferries", BODY)))
    lines = [(paragraph.style.name, paragraph.text) for paragraph in made.paragraphs]
    assert ("Heading 1", "Ferries & boats") in [
        (name, text.replace("<b>", "").replace("</b>", "")) for name, text in lines
    ]
    assert ("List Bullet", "one 🐟") in lines
    assert ("Intense Quote", "said") in lines
    assert {"x = 1", "a", "d"} <= {text for _name, text in lines}
    [sentence] = [paragraph for paragraph in made.paragraphs if "float" in paragraph.text]
    assert [run.text for run in sentence.runs if run.italic] == ["float"]
    assert [run.text for run in sentence.runs if run.bold] == ["all"]


def test_each_numbered_list_of_a_word_document_begins_anew() -> None:
    made = docx.Document(BytesIO(as_docx("Steps", "1. a\n2. b\n\nThen\n\n1. c\n\n- x\n\n7. d")))
    numbered = {paragraph.text: paragraph._p.xpath("w:pPr/w:numPr/w:numId") for paragraph in made.paragraphs}
    held = {text: entries[0].val for text, entries in numbered.items() if entries}
    lists = made.part.numbering_part.element
    starts = {
        text: lists.num_having_numId(number).lvlOverride_lst[0].startOverride.val for text, number in held.items()
    }
    assert starts == {"a": 1, "b": 1, "c": 1, "d": 7}
    assert (held["a"] == held["b"], len(set(held.values()))) == (True, 3)


@pytest.mark.parametrize("body", ["", "\x00\x0b\ufffe", "#" * 5000, "> " * 300 + "x", "- " * 300 + "x", "\x85\u2028"])
def test_any_text_becomes_a_word_document(body: str) -> None:
    assert docx.Document(BytesIO(as_docx("\x00", body)))


def test_a_page_that_is_taken_along_runs_nothing() -> None:
    page = page_of("</title><script>alert(1)</script>", "<script>alert(2)</script>[x](javascript:alert(3))")
    assert "<script" not in page
    assert 'href="javascript' not in page
