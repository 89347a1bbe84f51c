"""What is text in a report, whatever it is wrapped in; and what is not, said with its place."""

import base64
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workstation.charge.strategies import steady
from tests.workstation.desk import desk
from tests.workstation.orders.ris import READING, WHOLE, Ris, Study
from workstation.orders.report_text import text_of
from workstation.orders.rtf import RtfError, rtf_text
from workstation.orders.stated import Reported
from workstation.orders.statements import statements_of

STUDY = Study("ACC1")
TEXT = "3D images show the fracture. Bones & joints: not displaced."
RTF = (
    r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fswiss\fcharset0 Arial;}{\f1\fcharset161 Greek;}}{\colortbl;\red0;}"
    r"{\*\generator X 3D images show;}{\header 3D images show a header}\pard\f0\fs20 3D images\par show \b the\b0  "
    r"fractur\'e9. {\v hidden}{\deleted gone }\u8364?\u-10179?\u-8704? \{x\} {\f1\'e1}\tab end\par}"
)
SMALL_RTF = rb"{\rtf1 3D images show the fracture. Bones & joints: not displaced.}"
RTF_TEXT = "3D images\nshow the fracturé. €😀 {x} α end\n"


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def report(*observations: str, header: str = "") -> Reported:
    """Of OBX-2 and OBX-5 of each observation, parted by a vertical line."""
    lines = "".join(
        f"OBX|{n}|{each.split('|', 1)[0]}|GDT||{each.split('|', 1)[1]}||||||F\r"
        for n, each in enumerate(observations, 1)
    )
    body = Ris(STUDY).report(text=()).decode().replace("|P|2.5.1\r", f"|P|2.5.1||||||{header}\r") + lines
    (found,) = statements_of(body.encode(), READING, UTC)
    assert isinstance(found.statement, Reported)
    return found.statement


@pytest.mark.parametrize(
    "value",
    [
        f"ED|^TEXT^plain^Base64^{b64(TEXT.encode())}",
        f"ED|^TEXT^^Base64^{b64(TEXT.encode())[:20]}\\.br\\{b64(TEXT.encode())[20:]}",
        f"ED|^TXT^TXT^Hex^{TEXT.encode().hex()}",
        f"ED|RIS^FT^^A^{TEXT}",
        f"TX|{TEXT}",
        f"FT|\\H\\{TEXT}\\N\\",
        r"TX|{\E\rtf1\E\ansi 3D images show the fracture. Bones & joints: not displaced.}",
        r"ED|^AP^RTF^A^{\E\rtf1\E\ansi 3D images show the fracture. Bones & joints: not displaced.}",
        f"ED|^Application^rtf^Base64^{b64(SMALL_RTF)}",
        f"ED|^TEXT^plain^Base64^{b64(SMALL_RTF)}",
    ],
)
def test_text_is_read_whatever_it_is_wrapped_in(value: str) -> None:
    said = report(value)
    assert said.stated == {"three_d_findings"}
    assert not said.unread


def test_a_text_keeps_its_end_behind_a_separator() -> None:
    """A separator that the sender did not escape is text of encapsulated data: behind it may stand the negation."""
    assert report("ED|^TEXT^plain^A^3D images show it & were not read").stated == set()
    assert report("ED|^TEXT^plain^A^3D images show it ^ were not read").stated == set()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (f"ED|^Application^PDF^Base64^{b64(b'%PDF-1.7 3D images show')}", "OBX 1: a PDF."),
        (f"ED|^TEXT^plain^Base64^{b64(b'%PDF-1.7 3D images show')}", "OBX 1: a PDF."),
        ("TX|JVBERi0xLjcNCg==", "OBX 1: a PDF."),
        ("ED|^AP^Octet-stream^A^3D images show it", "OBX 1: AP/OCTET-STREAM, which is not read as text."),
        ("ED|^TEXT^HTML^A^<b>3D images show it</b>", "OBX 1: TEXT/HTML, which is not read as text."),
        ("TX|<html>3D images show it</html>", "OBX 1: HTML or XML."),
        ("ED|^TEXT^plain^Base64^M0Qg!!", "OBX 1: TEXT/PLAIN whose BASE64 is damaged."),
        ("ED|^TEXT^plain^Hex^3", "OBX 1: TEXT/PLAIN whose HEX is damaged."),
        ("ED|^TEXT^plain^uuencode^M0Qg", "OBX 1: TEXT/PLAIN in the unknown encoding 'UUENCODE'."),
        ("ED|^AP^RTF^A^3D images show it", "OBX 1: AP/RTF that is no RTF."),
        (r"TX|{\E\rtf1 3D images show it", "OBX 1: RTF that cannot be read. It is cut off: a group is not closed."),
        ("RP|\\\\server\\3D images show it^X^IM^PDF", "OBX 1: a reference (RP) to a document elsewhere."),
    ],
)
def test_what_is_no_text_is_said_and_states_nothing(value: str, why: str) -> None:
    said = report(value)
    assert said.stated == set()
    assert said.unread == (why,)


def test_text_in_another_set_than_the_messages_is_not_read() -> None:
    said = report(f"ED|^TEXT^plain^Base64^{b64(TEXT.encode() + bytes([0xE9]))}", header="UNICODE UTF-8")
    assert said.unread == ("OBX 1: TEXT/PLAIN that is not text in the message's character set.",)
    said = report(f"ED|^TEXT^plain^Base64^{b64(TEXT.encode('iso2022_jp'))}", header="~ISO IR87")
    assert said.stated == {"three_d_findings"}


def test_rtf_may_go_on_in_the_next_observation() -> None:
    said = report(
        r"TX|{\E\rtf1 3D images show",
        "TX|a fracture.",
        r"TX|Made on an independent workstation.\E\par }",
        "TX|3D clarified it",
    )
    assert said.stated == {"three_d_findings", "workstation_statement", "clinical_utility"}


class TestRtf:
    def test_words_alone(self) -> None:
        assert rtf_text(RTF) == RTF_TEXT

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            (r"{\rtf1 a\v b\v0 c\v d\plain e}", "ace"),
            (r"{\rtf1\uc2 \u65??b{\uc0\u66 c}\u67\'41\'42d}", "AbBcCd"),
            (r"{\rtf1{\*\unknown a}b\*c}", "b"),
            (r"{\rtf1\ansicpg65001 \'c3\'a9}", "é"),
            (r"{\rtf1\ansicpg1251 \'e9{\f9 \'e9}}", "йй"),
            ("{\\rtf1 a\r\nb\\\nc\\~d\\_e\\-f}", "ab\nc d-ef"),
            ("{\\rtf1 a}b", "a"),
        ],
    )
    def test_of_each_kind(self, document: str, words: str) -> None:
        assert rtf_text(document) == words

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            ("plain", "does not begin"),
            (RTF[:-1], "cut off"),
            (r"{\rtf1\ansicpg1252 \'81}", "no character of code page 1252"),
            (r"{\rtf1\ansicpg99999 \'e9}", "code page 99999 is not known"),
            (r"{\rtf1 \u70000?}", "not Unicode"),
            (r"{\rtf1 " + "{" * 600 + "}" * 601, "groups within each other"),
            ("{\\rtf1 a\\", "within a control word"),
        ],
    )
    def test_damaged(self, document: str, words: str) -> None:
        with pytest.raises(RtfError, match=words):
            rtf_text(document)

    def test_pictures_are_passed_over(self) -> None:
        assert rtf_text(r"{\rtf1 a{\pict\bin5 }}}}}}b{\*\shppict{\pict ffd8}}c}") == "abc"

    def test_a_hostile_document_takes_no_longer_than_another(self) -> None:
        document = "{\\rtf1 " + '{\\field{\\*\\fldinst{ HYPERLINK ""}}}' * 20_000 + "}"
        assert rtf_text(document) == ""

    @steady
    @given(st.text(st.sampled_from("{}\\'u8v0 *rtf1\x00é\n;-par"), max_size=80))
    def test_no_document_breaks_it(self, text: str) -> None:
        for document in (text, "{\\rtf1" + text, "{\\rtf1" + text + "}"):
            try:
                rtf_text(document)
            except RtfError:
                continue

    @steady
    @given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
    def test_text_round_trips(self, text: str) -> None:
        units = text.encode("utf-16-le")
        codes = [int.from_bytes(units[at : at + 2], "little") for at in range(0, len(units), 2)]
        assert rtf_text("{\\rtf1 " + "".join(f"\\u{code}?" for code in codes) + "}") == text


def test_a_case_waits_for_what_could_not_be_read(tmp_path: object) -> None:
    with desk(tmp_path) as here:  # type: ignore[arg-type]
        ris = Ris(STUDY)
        here.sr(STUDY)
        pdf = ris.report(text=()) + f"OBX|1|ED|GDT||^AP^PDF^Base64^{b64(b'%PDF-1.7')}||||||F\r".encode()
        here.hear(ris.order(), pdf)
        state, reasons = here.state
        assert state == "held" and "REPORT_UNREAD" in str(reasons) and "OBX 1: a PDF." in str(here.case().content)
        # Beside a text that says everything a PDF keeps nothing waiting.
        here.hear(ris.report(text=WHOLE) + f"OBX|9|ED|GDT||^AP^PDF^Base64^{b64(b'%PDF-1.7')}||||||F\r".encode())
        assert here.state[0] == "charged"


def test_nothing_gives_nothing() -> None:
    assert text_of([]).text == ""
    assert report("ED|^TEXT^plain^A^").unread == ()
