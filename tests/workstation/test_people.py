"""People, their roles and passwords."""

import json
import re
import shlex
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from dicom_io.evidence import Person
from tests.workstation.conftest import Command
from workstation import people as people_module
from workstation.cli.desktop import write_launcher
from workstation.config import ConfigError, load_config
from workstation.people import People, PeopleError, account, is_npi, people_of
from workstation.store.console import ConsoleStore

DOCTOR = Person("DR1", "Sample^Radiologist", "physician")
CODER = Person("jd", "Doe^Jane", "coder")


def test_only_the_right_password_signs_in(tmp_path: Path) -> None:
    people = people_of(tmp_path)
    people.add(DOCTOR, "correct horse")
    people.add(Person("T1", "Sample^Technologist", "technologist"), "battery staple")
    assert people.signed_in("DR1", "correct horse") == DOCTOR
    assert [person.id for person in people.all()] == ["DR1", "T1"]
    for identity, password in (("DR1", "battery staple"), ("DR1", ""), ("DR2", "correct horse"), ("", "")):
        with pytest.raises(PeopleError, match="ID or password is wrong"):
            people.signed_in(identity, password)


def test_somebody_unknown_takes_as_long_as_a_wrong_password() -> None:
    # As long as the parameters are those of the hashes that are made: see what the literal is compared with.
    assert not PasswordHasher().check_needs_rehash(people_module._NOBODY)


def test_the_register_tells_no_password(tmp_path: Path) -> None:
    people = people_of(tmp_path)
    people.add(DOCTOR, "correct horse")
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"correct horse" not in kept and b"argon2id" in kept


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


@pytest.mark.parametrize("written", ["{", "[1]", '[{"id": "a"}]', '[{"id": "a", "name": "n", "role": "king"}]'])
def test_a_damaged_file_is_named(written: str, tmp_path: Path) -> None:
    (tmp_path / "people.json").write_text(written)
    with pytest.raises(PeopleError, match=r"people\.json cannot be read"):
        people_of(tmp_path).signed_in("a", "b")


def test_short_passwords_and_programs_are_refused(tmp_path: Path) -> None:
    people = people_of(tmp_path)
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


class TestActing:
    """Who acts on a charge from an account of this machine."""

    def test_a_login_is_enough_and_only_its_own(self, tmp_path: Path) -> None:
        people = people_of(tmp_path)
        people.add(CODER, logins=["jdoe", "jdoe2"])
        assert people.acting("jd", "jdoe2") == CODER
        assert not people.needs_secret("jd", "jdoe") and people.needs_secret("jd", "mallory")
        with pytest.raises(PeopleError, match="jd acts from the account 'jdoe' or 'jdoe2'; this is 'mallory'"):
            people.acting("jd", "mallory")
        with pytest.raises(PeopleError, match="Nobody has the ID 'DR1'"):
            people.acting("DR1", "jdoe")

    def test_pin_and_password_are_enough_from_anywhere(self, tmp_path: Path) -> None:
        people = people_of(tmp_path)
        people.add(CODER, "correct horse", "246810")
        for secret in ("correct horse", "246810"):
            assert people.acting("jd", "anybody", secret) == CODER
        for secret in ("", "246811", "correct"):
            with pytest.raises(PeopleError, match="Nothing was done"):
                people.acting("jd", "anybody", secret)

    def test_nobody_is_without_anything_to_be_known_by(self, tmp_path: Path) -> None:
        with pytest.raises(PeopleError, match="needs a password, a PIN or a login"):
            people_of(tmp_path).add(CODER)

    def test_without_a_password_nobody_signs_in(self, tmp_path: Path) -> None:
        people = people_of(tmp_path)
        people.add(CODER, logins=["jdoe"])
        for secret in ("", "nobody has this password"):
            with pytest.raises(PeopleError, match="ID or password is wrong"):
                people.signed_in("jd", secret)
            with pytest.raises(PeopleError, match="PIN or password is wrong"):
                people.signature("jd", secret)

    def test_the_account_is_the_systems_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = account()
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            monkeypatch.setenv(name, "mallory")
        assert account() == before != "mallory"


# The first is CMS's own example; in the others a digit is another one, or two have changed places.
@pytest.mark.parametrize(
    ("npi", "right"),
    [("1234567893", True), ("1234567894", False), ("1234567983", False), ("123456789", False), ("12345678９3", False)],
)
def test_npi_check_digit(npi: str, right: bool, tmp_path: Path) -> None:
    assert is_npi(npi) is right
    if right:
        people_of(tmp_path).add(DOCTOR, "correct horse", npi=npi)
        assert people_of(tmp_path).accounts()[0].npi == npi
    else:
        with pytest.raises(PeopleError, match="no NPI"):
            people_of(tmp_path).add(DOCTOR, "correct horse", npi=npi)


def test_a_register_that_was_a_file_is_entered_once(tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse")
    file.write_text(json.dumps([{**asdict(DOCTOR), "password": hashed}]), encoding="utf-8")
    people = people_of(tmp_path)
    assert people.signed_in("DR1", "correct horse") == DOCTOR
    assert people.accounts()[0].logins == () and not file.exists()
    # Whoever puts such a file there later gets nowhere with it.
    file.write_text(json.dumps([{**asdict(CODER), "password": hashed}]), encoding="utf-8")
    assert people_of(tmp_path).all() == (DOCTOR,)


def by_hand(people: People, *statements: str) -> None:
    with people.register.engine.begin() as connection:
        for verb in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER person_no_{verb}"))
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE person SET content = replace(content, 'coder', 'physician')", "was changed by hand"),
        ("DELETE FROM person WHERE place = 2", "was removed by hand"),
        ("INSERT INTO person (person, at, content) SELECT person, at, content FROM person", "was put in by hand"),
        ("INSERT INTO person (person, at, content) SELECT 'jd2', at, content FROM person", "was put in by hand"),
        ("UPDATE person SET person = 'jd2'", "was"),
    ],
)
def test_who_is_written_in_by_hand_does_nothing(statement: str, words: str, tmp_path: Path) -> None:
    people = people_of(tmp_path)
    people.add(CODER, "another horse")
    people.add(CODER, "correct horse")
    by_hand(people, statement)
    who = "jd2" if "jd2" in statement else "jd"
    for act in (people.signed_in, people.signature, lambda who, secret: people.acting(who, "x", secret)):
        with pytest.raises(PeopleError, match=words):
            act(who, "correct horse")
    people.add(replace(CODER, id=who), "right horse now")
    assert people.signed_in(who, "right horse now").role == "coder"


def test_somebody_who_left_is_not_let_in_again_by_hand(tmp_path: Path) -> None:
    people = people_of(tmp_path)
    people.add(CODER, "correct horse")
    people.remove("jd")
    by_hand(people, "DELETE FROM person WHERE content = ''")
    with pytest.raises(PeopleError, match="was removed by hand"):
        people.signed_in("jd", "correct horse")


def test_people_of_older_settings_are_told_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[[people]]\nid = "jd"\nrole = "coder"\nlogin = "jdoe"\n')
    with pytest.raises(ConfigError, match=r"people add jd --name 'Family\^Given' --role coder --login jdoe"):
        load_config(tmp_path)


@pytest.mark.parametrize("identity", ["JD", "jd\u200b", "ｊｄ", "nobody", "ME", "result-link-3"])
def test_nobody_new_is_taken_for_another(tmp_path: Path, identity: str) -> None:
    people = people_of(tmp_path)
    people.add(CODER, logins=["jane"])
    with pytest.raises(PeopleError, match=re.escape(repr(identity))):
        people.add(Person(identity, "Doe^John", "coder"), logins=["john"])
    people.add(CODER, logins=["jane", "doe"])
    assert [each.id for each in people.all()] == ["jd"]


def test_no_session_outlives_who_is_entered_or_removed_at_the_command_line(tmp_path: Path, command: Command) -> None:
    """Else the next person of that ID would find the one before signed in."""
    add = ("people", "add", "jd", "--name", "Doe^Jane", "--role", "coder", "--password", "a long password")
    command(*add)
    sessions = ConsoleStore(people_of(tmp_path / "root").register.engine)
    for change in (add, ("people", "remove", "jd")):
        token = sessions.begin("jd", datetime.now(UTC))
        command(*change)
        assert sessions.session(token) is None
