"""The parts that messages are written with and taken apart by, each held against what HL7 v2.5.1 chapter 2 says."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from workstation.hl7.syntax import (
    Form,
    Hl7Error,
    checked_message,
    day_text,
    encoded_segments,
    escape,
    field_at,
    fitted,
    header_of,
    join_components,
    msh,
    segment_of,
    short_digest,
    split,
    switch_in,
    switches_as_bytes,
    time_text,
    unescape,
)

AT = datetime(2026, 3, 2, 10, 15, 7, tzinfo=UTC)
PARTIES = ("US", "OUR|SITE", "THEM", "THEIRS")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("", ""),
        ("plain", "plain"),
        ("|^&~\\", r"\F\\S\\T\\R\\E" + "\\"),
        ("a\rb\nc", r"a\X0D\b\X0A\c"),
        ("\x00\x1f \x7f\x80", "\\X00\\\\X1F\\ \\X7F\\\x80"),
        ("~}", r"\R\}"),
    ],
)
def test_delimiters_and_control_characters_are_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped
    assert unescape(escaped) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"a\F\b", "a|b"),
        (r"a\H\b\N\c", "abc"),
        (r"a\P\b", "ab"),
        (r"a\.br\b", "a\nb"),
        (r"a\.BR\b", "a\nb"),
        (r"a\.br5\b", "a\nb"),
        (r"a\.ce\b", "a\nb"),
        (r"a\.CE\b", "a\nb"),
        (r"a\.sp\b", "a\nb"),
        (r"a\.SP2\b", "a\n\nb"),
        (r"a\.sp 2\b", "a\n\nb"),
        (r"a\.sp3\b", "a\n\n\nb"),
        (r"a\.sp0\b", "a\nb"),
        (r"a\.sp12\b", "a\n\n\nb"),
        (r"a\.sp+2\b", "a\n\nb"),
        (r"a\.sp9999\b", "a\n\n\nb"),
        (r"a\.sp99999\b", r"a\.sp99999\b"),
        (r"a\.in+4\b", "a b"),
        (r"a\.ti-4\b", "a b"),
        (r"a\.fi\b", "a b"),
        (r"a\.nf\b", "a b"),
        (r"a\.sk 7\b", "a b"),
        (r"a\.long\b", r"a\.long\b"),
        (r"a\Zq\b", "a b"),
        (r"a\Z\b", "a b"),
        (r"a\Z" + "x" * 20 + r"\b", "a b"),
        (r"a\Z" + "x" * 21 + r"\b", r"a\Z" + "x" * 21 + r"\b"),
        (r"a\C2842\b", "a b"),
        (r"a\M2842\b", "a b"),
        (r"a\M284242\b", "a b"),
        (r"a\M28424\b", r"a\M28424\b"),
        (r"a\C28424\b", r"a\C28424\b"),
        (r"a\X41\b", "aAb"),
        (r"a\X4142\b", "aABb"),
        (r"a\XC3\\XBC\b", "aüb"),
        (r"a\Xc3bc\b", "aüb"),
        (r"a\XC3\ \XBC\b", "a� �b"),
        (r"a\XA\b", r"a\XA\b"),
        (r"a\X\b", r"a\X\b"),
        (r"C:\temp\b", r"C:\temp\b"),
        (r"a\h\b", r"a\h\b"),
        ("a\\", "a\\"),
        (r"\E\F\E" + "\\", "\\F\\"),
    ],
)
def test_sequences_are_undone_or_left_as_text(text: str, plain: str) -> None:
    assert unescape(text) == plain


def test_a_message_has_its_own_escape_character_delimiters_and_character_set() -> None:
    assert unescape("a!F!b!XFC!c\\F\\", lambda found: found.decode("latin-1"), "!", {"F": "#"}) == "a#büc\\F\\"
    assert unescape("a#S#b#XC3##XBC#", escaping="#") == "a^bü"
    assert unescape("a.F.b|F|", escaping=".") == "a|b|F|"
    assert unescape(r"a\F\b", escaping="") == r"a\F\b"
    assert unescape(r"\XFF\ ") == "� "


@pytest.mark.parametrize(
    ("body", "escaping", "switched"),
    [
        (rb"a\C2842\b", "\\", b"a\x1b\x28\x42b"),
        (rb"a\M2842\b\M244242\c", "\\", b"a\x1b\x28\x42b\x1b\x24\x42\x42c"),
        (rb"a\F\b\X41\c\.br\d", "\\", rb"a\F\b\X41\c\.br\d"),
        (b"a!C2842!b", "!", b"a\x1b\x28\x42b"),
        (rb"a\C2842\b", "!", rb"a\C2842\b"),
        (rb"a\C2842\b", "", rb"a\C2842\b"),
        (b"a\xa7C2842\xa7b", "\xa7", b"a\x1b\x28\x42b"),
        (rb"a\C28\b", "\\", rb"a\C28\b"),
    ],
)
def test_designations_become_the_bytes_that_they_stand_for(body: bytes, escaping: str, switched: bytes) -> None:
    assert switches_as_bytes(body, escaping) == switched


@pytest.mark.parametrize(
    ("text", "escaping", "found"),
    [
        (r"a\F\b\C2842\c\M2442\d", "\\", "C2842"),
        (r"a\M2442\c", "\\", "M2442"),
        (r"a\X41\\F\b", "\\", ""),
        ("a!C2842!", "!", "C2842"),
        (r"a\C2842\b", "", ""),
        ("", "\\", ""),
    ],
)
def test_the_first_switch_of_the_character_set_is_found(text: str, escaping: str, found: str) -> None:
    assert switch_in(text, escaping) == found


def test_a_header_names_parties_time_kind_and_version() -> None:
    assert msh(PARTIES, AT, "ACK", "7|7", "P", "2.5.1") == (
        r"MSH|^~\&|US|OUR\F\SITE|THEM|THEIRS|20260302101507+0000||ACK|7\F\7|P|2.5.1||||||UNICODE UTF-8"
    )
    assert msh(PARTIES, AT, "ACK", "7", "T", "2.3", {}).endswith("||ACK|7|T|2.3")
    with pytest.raises(ValueError, match="shorter"):
        msh(PARTIES[:3], AT, "ACK", "7", "P", "2.5.1")


@pytest.mark.parametrize(
    ("form", "end"),
    [
        (Form(), "|P|2.5.1||||||UNICODE UTF-8"),
        (Form(version="2.3"), "|P|2.3||||||UNICODE"),
        (Form(version="2.3.1"), "|P|2.3.1||||||UNICODE"),
        (Form(version="2.3", character_set="8859/1"), "|P|2.3||||||8859/1"),
        (Form(character_set="ASCII", processing_id="D"), "|D|2.5.1||||||ASCII"),
        (Form(mode="accept"), "|P|2.5.1|||AL|NE||UNICODE UTF-8"),
        (Form(mode="enhanced"), "|P|2.5.1|||AL|AL||UNICODE UTF-8"),
    ],
)
def test_a_header_follows_the_form(form: Form, end: str) -> None:
    header = header_of(("É", "B", "C", "D"), AT, "DFT^P03", "7", form)
    assert header.endswith(end)
    assert header.split("|")[2] == ("E" if form.character_set == "ASCII" else "É")


def test_the_form_is_the_newest_version_in_unicode_unless_a_site_asks_otherwise() -> None:
    form = Form()
    assert (form.version, form.character_set, form.mode, form.credit_code) == (
        "2.5.1",
        "UNICODE UTF-8",
        "original",
        "CR",
    )
    assert (form.processing_id, form.physician_id, form.physician_id_issuer) == ("P", "both", "")
    assert (form.insurance, form.local_codes, form.revenue_codes) == (False, False, False)
    assert form.place_of_service_field == "FT1-16.9"
    with pytest.raises(AttributeError):
        form.version = "2.3"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "segment"),
    [
        ({}, "ZZZ"),
        ({1: "a"}, "ZZZ|a"),
        ({3: "c", 1: "a"}, "ZZZ|a||c"),
        ({1: "a", 4: ""}, "ZZZ|a"),
        ({2: "", 3: ""}, "ZZZ"),
    ],
)
def test_a_segment_ends_at_its_last_field_that_says_something(fields: Mapping[int, str], segment: str) -> None:
    assert segment_of("ZZZ", fields) == segment


def test_components_are_escaped_and_the_last_empty_ones_left_out() -> None:
    assert join_components("a^b", "", "c", "", "") == r"a\S\b^^c"
    assert join_components("", "") == ""
    assert join_components("", "b") == "^b"


@pytest.mark.parametrize(
    ("text", "latin", "ascii_"),
    [
        ("Zoë", "Zoë", "Zoe"),
        ("Ångström", "Ångström", "Angstrom"),
        ("Škoda", "Skoda", "Skoda"),
        ("ﬁn", "fin", "fin"),
        ("山田", "??", "??"),
        ("a｜b", r"a\F\b", r"a\F\b"),
        ("Łódź", "?ódz", "?odz"),
        ("½", "½", "?"),
    ],
)
def test_what_a_character_set_lacks_loses_its_accents_or_becomes_a_question_mark(
    text: str, latin: str, ascii_: str
) -> None:
    assert fitted(text, "8859/1") == latin
    assert fitted(text, "ASCII") == ascii_
    assert fitted(text, "UNICODE UTF-8") == text


def test_segments_become_bytes_that_end_with_a_carriage_return() -> None:
    assert encoded_segments(["MSH|é", "ZZZ"]) == b"MSH|\xc3\xa9\rZZZ\r"
    assert encoded_segments(["é"], "iso-8859-1") == b"\xe9\r"
    assert encoded_segments([]) == b""
    with pytest.raises(Hl7Error, match="half of a character pair"):
        encoded_segments(["\ud800"])


def test_only_a_valid_message_is_given_back_and_no_error_quotes_it() -> None:
    header = header_of(("É", "B", "C", "D"), AT, "ACK^P03^ACK", "7", Form())
    assert checked_message([header, "MSA|AA|7"], Form()) == f"{header}\rMSA|AA|7\r".encode()
    latin = Form(character_set="8859/1")
    header = header_of(("É", "B", "C", "D"), AT, "ACK^P03^ACK", "7", latin)
    assert checked_message([header, "MSA|AA|7"], latin) == f"{header}\rMSA|AA|7\r".encode("latin-1")
    with pytest.raises(
        Hl7Error, match=r"^The message is not valid HL7 v2\.5\.1 \(\w+\); nothing was built\.$"
    ) as caught:
        checked_message([header, "MSA|Smith"], latin)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("message", "segments"),
    [
        (b"MSH|^~\\&|A\rPID|1||2", [["MSH", "^~\\&", "A"], ["PID", "1", "", "2"]]),
        (b"\r\n\xef\xbb\xbfMSH|^~\\&|A\r\n\r\nPID|1\n", [["MSH", "^~\\&", "A"], ["PID", "1"]]),
        (b"MSH#*~!&#A!F!*B\rPID#1*2", [["MSH", "^~\\&", "A\\F\\^B"], ["PID", "1^2"]]),
        (b"MSH|^~!&|A!F!^B", [["MSH", "^~\\&", "A\\F\\^B"]]),
        (b"MSH|*~\\&|A\\F\\*B", [["MSH", "^~\\&", "A\\F\\^B"]]),
        (b"MSH|^~\\&|", [["MSH", "^~\\&", ""]]),
        (b"MSH|^~\\&|\xff", [["MSH", "^~\\&", "�"]]),
    ],
)
def test_a_message_is_taken_apart_with_its_own_delimiters(message: bytes, segments: list[list[str]]) -> None:
    assert split(message) == segments


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "begins with '' and has no MSH"),
        (b"MSH|^~\\&", "begins with 'MSH' and has no MSH"),
        (b"msh|^~\\&|A", "begins with 'msh' and has no MSH"),
        (b"MSHa^~\\&a", "has 'a' for a field separator; it is not"),
        (b"MSH1^~\\&1", "has '1' for a field separator"),
        (b"MSH ^~\\& ", "has ' ' for a field separator"),
    ],
)
def test_what_is_no_message_is_said_to_be_none(message: bytes, words: str) -> None:
    with pytest.raises(Hl7Error, match=words):
        split(message)


def test_fields_have_the_numbers_of_the_standard() -> None:
    header, patient = split(b"MSH|^~\\&|A\rPID|1||2")
    assert (field_at(header, 2), field_at(header, 3), field_at(header, 4)) == ("^~\\&", "A", "")
    assert [field_at(patient, number) for number in range(5)] == ["PID", "1", "", "2", ""]


def test_a_short_digest_follows_from_the_parts_alone() -> None:
    assert short_digest(["é", 1, None], 20) == "EUN7NI6GU5254PILTTLU"
    assert short_digest(["é", 1, None], 5) == "EUN7N"
    assert short_digest(["é", 1, ""], 5) != "EUN7N"


def test_days_and_times_are_written_with_their_zone() -> None:
    assert day_text(date(987, 1, 2)) == "09870102"
    assert time_text(AT) == "20260302101507+0000"
    early = datetime(987, 1, 2, 3, 4, 5, 678, tzinfo=timezone(-timedelta(hours=5, minutes=30, seconds=15)))
    assert time_text(early) == "09870102030405-0530"
    with pytest.raises(Hl7Error, match="has no offset from UTC"):
        time_text(AT.replace(tzinfo=None))
