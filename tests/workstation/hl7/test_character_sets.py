"""Text of every character set comes out as it went in: switched by ISO 2022, escaped, formatted; nothing is guessed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workstation.charge.strategies import steady
from workstation.hl7.character_sets import CHARACTER_SETS, encoding_named
from workstation.hl7.reader import Segment, read_message
from workstation.hl7.syntax import Hl7Error, escape, unescape

# A codec of Python that writes each set, switching included.
WRITERS = {
    "ASCII": "ascii",
    "ISO IR6": "ascii",
    **{f"8859/{part}": f"iso-8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "ISO IR14": "",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_2",
    "JAS2020": "iso2022_jp",
    "JIS X 0202": "iso2022_jp",
    "KS X 1001": "euc_kr",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "SHIFT JIS": "shift_jis",
    "WINDOWS-1252": "cp1252",
}
SAMPLES = "aé|^~\\&ßłЖלαعı€ 骨折丂한글骨功許蓋ソ表ｱｲ—\t"


def message(text: str, written: bytes | None = None, charset: str = "", encoding: str = "utf-8") -> bytes:
    start = f"MSH|^~\\&|R|H|W|L|20260302||ORU^R01|1|P|2.5.1||||||{charset}\rOBX|1|TX|".encode()
    return start + b"a||" + (text.encode(encoding) if written is None else written) + b"||||||F\r"


def obx(body: bytes, charset: str = "") -> Segment:
    found = read_message(body, charset).first("OBX")
    assert found is not None
    assert found.text(11) == "F"
    return found


def text_of(body: bytes, charset: str = "") -> str:
    return obx(body, charset).whole(5)


def written(text: str, charset: str) -> bytes:
    if charset != "ISO IR14":
        return text.encode(WRITERS[charset])
    return b"".join(each.encode("ascii" if each.isascii() else "shift_jis") for each in text)


def fits(character: str, charset: str) -> bool:
    try:
        body = written(character, charset)
        if character in "¥‾":  # JIS X 0201 has them where ASCII has the backslash and the tilde, and HL7 its delimiters
            return False
        # Codecs of Python write some characters that they read as others.
        return (charset != "ISO IR14" or len(body) == 1) and body.decode(WRITERS[charset] or "shift_jis") == character
    except UnicodeError:
        return False


def test_every_set_is_tried() -> None:
    assert set(WRITERS) == set(CHARACTER_SETS)


@pytest.mark.parametrize("charset", CHARACTER_SETS)
@steady
@given(data=st.data())
def test_text_round_trips_in_every_set(charset: str, data: st.DataObject) -> None:
    alphabet = [each for each in SAMPLES if fits(each, charset)]
    drawn = data.draw(st.text(st.one_of(st.sampled_from(alphabet), st.characters(max_codepoint=0xFFFF)), max_size=40))
    text = "".join(
        each for each in drawn if fits(each, charset) and not re.match(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", each)
    )
    escaped = escape(text)
    assert text_of(message("", written(escaped, charset), charset)) == text
    # Named by the site where the sender names nothing.
    assert text_of(message("", written(escaped, charset)), charset) == text


@pytest.mark.parametrize("charset", CHARACTER_SETS)
def test_hexadecimal_escapes_are_bytes_of_the_set(charset: str) -> None:
    for character in SAMPLES:
        if fits(character, charset):
            body = written(character, charset)
            assert text_of(message(f"a\\X{body.hex()}\\b", charset=charset)) == f"a{character}b"
            # A character may be written in two sequences.
            halves = "".join(f"\\X{byte:02X}\\" for byte in body)
            assert text_of(message(f"a{halves}b", charset=charset)) == f"a{character}b"


class TestSwitching:
    def test_by_escape_sequences_in_bytes(self) -> None:
        for charset in ("~ISO IR87", "ISO IR87", "ASCII~ISO IR87~ISO IR159", ""):
            body = message("", "3D 骨折 丂|x".replace("|x", "").encode("iso2022_jp_2"), charset)
            assert text_of(body) == "3D 骨折 丂"

    def test_a_character_whose_bytes_are_separators_parts_nothing(self) -> None:
        """In JIS X 0208 the second byte of a character may be 0x7C, a field separator, were it text."""
        character = b"\x1b$B0|\x1b(B".decode("iso2022_jp")
        assert text_of(message("", character.encode("iso2022_jp"), "ISO IR87")) == character
        for charset, codec in (("BIG-5", "big5"), ("SHIFT JIS", "shift_jis")):
            for each in ("功", "許", "蓋", "ソ", "表"):
                if fits(each, charset):
                    assert text_of(message("", each.encode(codec), charset)) == each

    def test_by_escape_sequences_of_hl7(self) -> None:
        """HL7 v2.5.1 2.7.3: `\\M2442\\` is ESC $ B, `\\C2842\\` is ESC ( B."""
        kanji = "骨折".encode("iso2022_jp")[3:-3].decode("ascii")
        assert text_of(message(f"3D \\M2442\\{kanji}\\C2842\\ seen", charset="ASCII~ISO IR87")) == "3D 骨折 seen"
        # Escaped backslashes are text, not a switch.
        assert text_of(message("\\E\\C2842\\E\\", charset="ASCII")) == "\\C2842\\"

    @pytest.mark.parametrize(
        ("designation", "bytes_", "expected"),
        [
            (b"\x1b)I", b"\xb1\xb2", "ｱｲ"),
            (b"\x1b(I", b"\x31\x32", "ｱｲ"),
            (b"\x1b$)C", "한글".encode("euc_kr"), "한글"),
            (b"\x1b$(C", bytes(b & 0x7F for b in "한글".encode("euc_kr")), "한글"),
            (b"\x1b$)A", "骨折".encode("gb2312"), "骨折"),
            (b"\x1b$A", bytes(b & 0x7F for b in "骨折".encode("gb2312")), "骨折"),
            (b"\x1b-F", "αβ".encode("iso-8859-7"), "αβ"),
            (b"\x1b-L", "Жл".encode("iso-8859-5"), "Жл"),
            (b"\x1b-b", "€".encode("iso-8859-15"), "€"),
        ],
    )
    def test_to_every_kind(self, designation: bytes, bytes_: bytes, expected: str) -> None:
        body = message("", b"a " + designation + bytes_ + b"\x1b(B b", "ASCII~8859/7")
        assert text_of(body) == f"a {expected} b"

    def test_a_segment_begins_in_the_first_set(self) -> None:
        body = message("", b"\x1b-F" + "α".encode("iso-8859-7"), "8859/1") + "NTE|1||é\r".encode("latin-1")
        note = read_message(body).first("NTE")
        assert note is not None and note.whole(3) == "é"

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (message("", b"\x1b$(Z!!\x1b(B", "ASCII"), "not known here .ESC 24 28 5A"),
            (message("\\M2442\\0;\\C2842\\", charset="UNICODE UTF-8"), "M2442.*UNICODE UTF-8 cannot"),
            (message("", b"\x1b$B!\x1b(B", "ISO IR87"), "no character of it"),
        ],
    )
    def test_what_cannot_be_told_is_refused(self, body: bytes, words: str) -> None:
        with pytest.raises(Hl7Error, match=words):
            read_message(body)


class TestNames:
    @pytest.mark.parametrize(
        ("charset", "words"),
        [
            ("LATIN-9", "no character set of HL7 table 0211.*reading.character_set"),
            ("UNICODE UTF-16", "bytes would be those that frame"),
            ("CNS 11643-1992", "no table of it here"),
        ],
    )
    def test_an_unknown_set_is_refused_unless_the_site_says_how(self, charset: str, words: str) -> None:
        body = message("é", charset=charset)
        with pytest.raises(Hl7Error, match=words):
            read_message(body)
        assert text_of(body, "UNICODE UTF-8") == "é"

    def test_bytes_that_the_named_set_has_not_are_refused_unless_the_site_says_how(self) -> None:
        body = message("é", charset="ASCII", encoding="latin-1")
        with pytest.raises(Hl7Error, match="MSH-18 is ASCII, but the byte 0xE9"):
            read_message(body)
        assert text_of(body, "8859/1") == "é"

    def test_without_a_name_it_is_utf_8_if_that_works(self) -> None:
        assert text_of(message("é")) == "é"
        assert text_of(message("é", encoding="latin-1")) == "é"
        assert text_of(message("é", charset='""')) == "é"

    def test_a_name_may_have_spaces_and_small_letters(self) -> None:
        assert encoding_named(" unicode  utf-8 ").name == "UNICODE UTF-8"


class TestFormatting:
    @pytest.mark.parametrize(
        ("written_", "read"),
        [
            (r"show\.br\nothing", "show\nnothing"),
            (r"show\.sp\nothing", "show\nnothing"),
            (r"show\.sp2\nothing", "show\n\nnothing"),
            (r"show\.sp+1\nothing", "show\nnothing"),
            (r"show\.ce\nothing", "show\nnothing"),
            (r"show\.in+4\nothing", "show nothing"),
            (r"show\.in-4\nothing", "show nothing"),
            (r"show\.ti 2\nothing", "show nothing"),
            (r"show\.sk3\nothing", "show nothing"),
            (r"show\.fi\nothing", "show nothing"),
            (r"show\.nf\nothing", "show nothing"),
            (r"show\Z01\nothing", "show nothing"),
            (r"\H\no\N\thing", "nothing"),
            (r"C:\new\x not seen \.br\end", "C:\\new\\x not seen \nend"),
            (r"\E\.br\E\ ", "\\.br\\ "),
            (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
            (r"a\X0D0A\b\X000A\c", "a\r\nb\nc"),
        ],
    )
    def test_words_stay_apart(self, written_: str, read: str) -> None:
        assert unescape(written_).replace("\0", "") == read
        assert text_of(message(written_)) == read
        other = message(written_).replace(b"^~\\&", b"^~@&", 1).replace(b"\\", b"@")
        assert text_of(other) == read.replace("\\", "@")

    def test_delimiters_are_the_messages_own(self) -> None:
        body = b"MSH$*!@%$R$H$W$L$20260302$$ORU*R01$1$P$2.5.1\rOBX$1$TX$a$$1@F@2@S@3@T@4@R@5@E@6$$$$$$F\r"
        assert text_of(body) == "1$2*3%4!5@6"


@steady
@given(st.binary(max_size=200), st.sampled_from(("", *CHARACTER_SETS)), st.sampled_from(("", *CHARACTER_SETS)))
def test_no_bytes_break_it(noise: bytes, charset: str, otherwise: str) -> None:
    for body in (message("", noise, charset), message("", noise + b"\x1b$B" + noise, charset), b"MSH" + noise):
        try:
            found = read_message(body, otherwise)
        except Hl7Error:
            continue
        for segment in found.segments:
            for number in range(len(segment.fields) + 1):
                segment.whole(number)
                segment.text(number, 5)


@steady
@given(st.text(st.sampled_from("\\XCMZ.brsp0aF|^EHN"), max_size=60))
def test_no_escape_breaks_it(text: str) -> None:
    unescape(text)
    assert unescape(escape(text)) == text
