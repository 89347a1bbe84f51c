"""People, their roles and passwords."""

import shlex
from pathlib import Path

import pytest

from dicom_io.evidence import Person
from workstation.cli.desktop import write_launcher
from workstation.people import People, PeopleError, people_of

DOCTOR = Person("DR1", "Sample^Radiologist", "physician")


def test_only_the_right_password_signs_in(tmp_path: Path) -> None:
    people = people_of(tmp_path)
    people.add(DOCTOR, "correct horse")
    people.add(Person("T1", "Sample^Technologist", "technologist"), "battery staple")
    assert people.signed_in("DR1", "correct horse") == DOCTOR
    assert [person.id for person in people.all()] == ["DR1", "T1"]
    for identity, password in (("DR1", "battery staple"), ("DR1", ""), ("DR2", "correct horse"), ("", "")):
        with pytest.raises(PeopleError, match="ID or password is wrong"):
            people.signed_in(identity, password)


def test_the_file_tells_no_password_and_is_its_owners(tmp_path: Path) -> None:
    people = people_of(tmp_path)
    people.add(DOCTOR, "correct horse")
    assert "correct horse" not in people.file.read_text() and "argon2id" in people.file.read_text()
    assert people.file.stat().st_mode & 0o077 == 0


def test_a_new_password_replaces_the_old_one_and_people_leave(tmp_path: Path) -> None:
    people = people_of(tmp_path)
    people.add(DOCTOR, "correct horse")
    people.add(DOCTOR, "another horse")
    assert people.signed_in("DR1", "another horse") == DOCTOR
    with pytest.raises(PeopleError):
        people.signed_in("DR1", "correct horse")
    people.remove("DR1")
    with pytest.raises(PeopleError, match="Nobody has the ID 'DR1'"):
        people.remove("DR1")
    with pytest.raises(PeopleError):
        people.signed_in("DR1", "another horse")


@pytest.mark.parametrize("text", ["{", "[1]", '[{"id": "a"}]', '[{"id": "a", "name": "n", "role": "king"}]'])
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "people.json").write_text(text)
    with pytest.raises(PeopleError, match=r"people\.json cannot be read"):
        people_of(tmp_path).signed_in("a", "b")


def test_short_passwords_and_programs_are_refused(tmp_path: Path) -> None:
    people = People(tmp_path / "people.json")
    with pytest.raises(PeopleError, match="7 characters; 8 are needed"):
        people.add(DOCTOR, "1234567")
    with pytest.raises(PeopleError, match="for programs"):
        people.add(Person("X", "X", "automatic"), "long enough")


def test_the_menu_entry_starts_the_desktop(tmp_path: Path) -> None:
    file = write_launcher(tmp_path / "applications", tmp_path / "state folder")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "[Desktop Entry]" and "Type=Application" in lines
    (command,) = (line.removeprefix("Exec=") for line in lines if line.startswith("Exec="))
    words = shlex.split(command)
    assert words[1:] == ["-m", "workstation", "--root", str(tmp_path / "state folder"), "desktop"]
    assert Path(words[0]).exists()
