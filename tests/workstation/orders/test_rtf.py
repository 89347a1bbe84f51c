"""RTF read word by word: code pages, Unicode, what is hidden or no text, and what is damaged."""

import pytest

from workstation.orders.rtf import RtfError, is_complete, rtf_text


def words(body: str, head: str = "") -> str:
    return rtf_text("{\\rtf1\\ansi" + head + ("" if head.endswith("}") else " ") + body + "}")


# A character set of a font (\fcharset), and a letter of its code page that others have not: byte and character.
@pytest.mark.parametrize(
    ("charset", "written", "read"),
    [
        (0, "\\'80", "€"),
        (128, "\\'82\\'a0", "あ"),
        (129, "\\'b0\\'a1", "가"),
        (134, "\\'b0\\'a1", "啊"),
        (136, "\\'b0\\'a1", "陛"),
        (161, "\\'e1", "α"),
        (162, "\\'fe", "ş"),
        (163, "\\'d0\\'fe", "Đ₫"),
        (177, "\\'e0", "א"),
        (178, "\\'c7", "ا"),
        (186, "\\'e0", "ą"),
        (204, "\\'e0", "а"),
        (222, "\\'a1", "ก"),
        (238, "\\'b3", "ł"),
    ],
)
def test_the_code_page_of_a_font(charset: int, written: str, read: str) -> None:
    fonts = f"{{\\fonttbl{{\\f0\\fcharset0 A;}}{{\\f7\\fcharset{charset} B;}}}}"
    assert words(f"a\\f7 {written}\\f0 b", fonts) == f"a{read}b"
    assert words("\\'e9", f"\\ansicpg1252{fonts}") == "é"


def test_the_code_page_of_the_document() -> None:
    assert words("\\'e9\\'20\\'df") == "é ß"
    assert words("\\'e0", "\\ansicpg1251") == "а"
    assert words("\\'c3\\'a9", "\\ansicpg65001") == "é"
    assert words("\\'e9", "\\ansicpg") == "é"
    assert words("\\f0 \\'e9", "\\ansicpg1251{\\fonttbl{\\f0\\fcharset0 A;}}") == "é"
    assert words("no bytes", "\\ansicpg9999") == "no bytes"
    # A character set that nobody knows leaves the document's.
    assert words("\\f3 \\'e9", "{\\fonttbl{\\f3\\fcharset99 A;}}") == "é"
    for head, body, why in (
        ("\\ansicpg9999", "\\'e9", "code page 9999 is not known"),
        ("\\ansicpg65001", "\\'e9", "no character of code page 65001"),
    ):
        with pytest.raises(RtfError, match=why):
            words(body, head)


def test_unicode_and_what_stands_in_for_it() -> None:
    assert words("a\\u8364?b") == "a€b"
    assert words("a\\u8364\\'80b") == "a€b"
    assert words("a\\uc0\\u8364 b") == "a€b"
    assert words("a\\uc2\\u8364 xyb\\uc-1\\u945 c") == "a€bαc"
    assert words("a\\uc2\\u8364\\'41\\'42\\'43") == "a€C"
    assert words("a\\uc b\\u945 c") == "abα"
    assert words("\\u-10179?\\u-8704?") == "😀"
    assert words("\\u65?\\u-32768?\\u65535?") == "A\u8000\uffff"
    assert words("{\\uc3\\u945 xyz}\\u946 uv") == "αβv"
    assert words("a\\u b") == "ab"
    # A brace or a word ends what stands in for a character.
    assert words("{\\uc5\\u945 x}yz") == "αyz"
    assert words("\\uc5\\u945 x\\b yz") == "αyz"
    for beyond in ("\\u65536?", "\\u-32769?"):
        with pytest.raises(RtfError, match="not Unicode"):
            words(beyond)


def test_what_is_hidden_or_no_text() -> None:
    assert words("a{\\v b}c\\v d\\v0 e\\v f\\plain g\\b h") == "aceg" + "h"
    assert words("a{\\deleted b}c\\deleted0 d") == "acd"
    assert words("a\\v b\\b c") == "a"
    assert words("a{\\*\\unknown b}c{\\-b}d") == "acbd"
    assert words("a{\\info b{\\title c}}d") == "ad"
    assert words("a{\\*\\v0\\f0 b\\'e9\\u945 c}d") == "ad"
    assert words("a{\\v\\'e9}b") == "ab"


def test_pictures_in_bytes_are_passed_over() -> None:
    assert words("a{\\pict\\bin3 }}{}b") == "ab"
    assert words("a\\bin0 b\\bin c\\bin-2 d\\bin1 }e") == "abcde"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("plain", "does not begin as RTF"),
        ("{\\rtf1 a", "cut off"),
        ("{\\rtf1 {a}", "cut off"),
        ("{\\rtf1 a\\", "within a control word"),
    ],
)
def test_what_is_damaged(text: str, why: str) -> None:
    with pytest.raises(RtfError, match=why):
        rtf_text(text)


@pytest.mark.parametrize(
    ("text", "complete"),
    [("{\\rtf1 a}", True), ("{\\rtf1 {a}", False), ("{\\rtf1 \\{a}", True), ("{\\rtf1 a\\}", False), ("a}", True)],
)
def test_whether_more_is_to_come(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


def test_groups_within_each_other_and_what_follows() -> None:
    assert words("{" * 499 + "a" + "}" * 499) == "a"
    with pytest.raises(RtfError, match="more than 500 groups"):
        words("{" * 500 + "a" + "}" * 500)
    assert rtf_text("{\\rtf1 a} behind") == "a"
