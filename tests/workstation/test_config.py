"""Settings: defaults that send nothing anywhere, and errors that name file and key."""

from datetime import date
from pathlib import Path

import pytest

from workstation.charging import PayerRule
from workstation.config import Config, ConfigError, load_config
from workstation.destinations import DicomDestination, FolderDestination, MllpDestination


def write(folder: Path, text: str | bytes) -> Path:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "config.toml").write_bytes(content)
    return folder


def test_without_a_file_nothing_leaves_the_machine(tmp_path: Path) -> None:
    config = load_config(tmp_path)
    assert config == Config()
    assert [(d.kind, isinstance(d, FolderDestination) and d.folder) for d in config.destinations] == [
        ("folder", "outgoing")
    ]


def test_an_empty_file_is_the_same(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "")) == Config()


def test_how_pictures_are_made(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, 'engine = "vtk"\nburn_in = "view"\n'))
    assert (config.engine, config.burn_in, config.font_file) == ("vtk", "view", None)
    with pytest.raises(ConfigError, match="burn_in"):
        load_config(write(tmp_path, 'burn_in = "name"'))
    with pytest.raises(ConfigError, match=r"font 'no\.ttf' is no file"):
        load_config(write(tmp_path, 'font = "no.ttf"'))


def test_what_is_set_is_read(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            """
            station_name = "3DLAB1"
            policy = "cpt"
            site = "office"
            entity = "split"
            port = 0
            [[destinations]]
            name = "pacs"
            kind = "dicom"
            takes = ["images"]
            host = "10.0.0.5"
            port = 104
            ae_title = "ARCHIVE"
            [[destinations]]
            name = "billing"
            kind = "mllp"
            takes = ["charges"]
            port = 2575
            timeout_s = 5
            """,
        )
    )
    assert (config.station_name, config.policy, config.entity, config.port) == ("3DLAB1", "cpt", "split", 0)
    pacs = DicomDestination(name="pacs", takes=("images",), host="10.0.0.5", port=104, ae_title="ARCHIVE")
    assert config.destination("pacs") == pacs
    billing = MllpDestination(name="billing", takes=("charges",), port=2575, timeout_s=5.0)
    assert config.destination("billing") == billing
    assert config.destination("nobody") is None


def destination(**changes: object) -> str:
    keys: dict[str, object] = {"name": "a", "kind": "dicom", "takes": ["images"], "port": 104, **changes}
    lines = [f"{k} = {v!r}".replace("True", "true") for k, v in keys.items() if v is not None]
    return "[[destinations]]\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('colour = "red"', ["colour", "not known"]),
        ('policy = "mine"', ["policy", "'mine' is not one of guide, cpt"]),
        ('entity = "everybody"', ["entity", "professional, technical"]),
        ('entity = "split"', ["entity 'split' is not for site 'hospital'", "set entity to professional or facility"]),
        ('site = "hospital"\nentity = "global"', ["entity 'global'"]),
        ('entity = "technical"', ["entity 'technical'"]),
        ('reformat_only = "maybe"', ["reformat_only", "hold, release, deny"]),
        ("independent_workstation = 1", ["independent_workstation", "true or false"]),
        ('port = "11112"', ["port"]),
        ("port = 70000", ["port 70000"]),
        ('ae_title = "SEVENTEEN LETTERS"', ["ae_title", "16"]),
        ('ae_title = "  "', ["ae_title"]),
        ('ae_title = "A\\\\B"', ["ae_title", "backslash"]),
        (destination(kind="ftp"), ["destinations[0].kind", "dicom, dicomweb, mpps, mllp, folder"]),
        (destination(colour="red"), ["destinations[0].colour", "not known"]),
        (destination(takes=None), ["destinations[0].takes", "missing"]),
        (destination(takes=["everything"]), ["destinations[0].takes[0]", "images, charges"]),
        (destination(port=None), ["destinations[0].port", "missing"]),
        (destination(port=65536), ["destinations[0].port", "65535"]),
        (destination(kind=None), ["destinations[0].kind", "missing"]),
        (destination(folder="out"), ["destinations[0].folder", "not known"]),
        (destination(ae_title="SEVENTEEN LETTERS"), ["destinations[0].ae_title", "16"]),
        (destination(kind="folder", port=None), ["destinations[0].folder", "missing"]),
        (destination(kind="mllp"), ["destinations[0]", "images do not travel over mllp"]),
        (destination(takes=["charges"]), ["destinations[0]", "charges do not travel over dicom"]),
        (f"{destination()}\n{destination()}", ["same name"]),
        ("policy = ", ["no TOML", "Invalid value"]),
        (b'station_name = "\xff"', ["UTF-8"]),
    ],
)
def test_an_error_names_file_and_key(tmp_path: Path, text: str | bytes, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, text))
    said = str(error.value)
    assert said.startswith(f"{tmp_path / 'config.toml'}: ")
    for word in words:
        assert word in said


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, 'policy = "mine"\nsite = "ship"\ncolour = 1'))
    assert all(key in str(error.value) for key in ("policy", "site", "colour"))


def test_the_device_uid_follows_from_the_station_unless_set() -> None:
    assert Config(station_name="A").device == Config(station_name="A").device
    assert Config(station_name="A").device != Config(station_name="B").device
    assert Config(device_uid="1.2.3").device == "1.2.3"


def test_the_environment_takes_the_place_of_a_key(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('station_name = "A"\n[receiver]\nidle_s = 5.0\n')
    said = {
        "WORKSTATION_SET_STATION_NAME": "LAB 2",
        "WORKSTATION_SET_PORT": "4006",
        "WORKSTATION_SET_RECEIVER__CALLED": "ours",
        "WORKSTATION_SET_RECEIVER__PROCESSES": "3",
        "WORKSTATION_SET_ORDER_GROUNDS": '["ordered"]',
        "WORKSTATION_ROOT": "elsewhere",
    }
    config = load_config(tmp_path, said)
    assert (config.station_name, config.port, config.order_grounds) == ("LAB 2", 4006, ("ordered",))
    assert (config.receiver.called, config.receiver.processes, config.receiver.idle_s) == ("ours", 3, 5.0)
    assert load_config(tmp_path / "nowhere", said).port == 4006
    for name, value, words in (
        ("WORKSTATION_SET_COLOUR", "red", "WORKSTATION_SET_COLOUR.*colour"),
        ("WORKSTATION_SET_PORT", "many", "WORKSTATION_SET_PORT.*port"),
        ("WORKSTATION_SET_STATION_NAME__X", "1", "station_name is no table"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_config(tmp_path, {name: value})


def test_tables_that_decide_money_stand_once_for_each_date(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            """
            entity = "professional"
            [[charging]]
            from = 2026-04-01
            entity = "facility"
            [[payers.MCARE]]
            plan = "medicare"
            [[payers.MCARE]]
            from = 2026-05-01
            modifiers = ["AB"]
            [[fees]]
            from = "2026-05-01"
            locality = "05"
            [[reading]]
            performed = ["CM", "A"]
            assigning_authority = "HOSPITAL"
            [[reading]]
            from = 2026-06-01
            urgent = ["S"]
            [[reading]]
            from = 2026-07-01
            performed = ["CM"]
            """,
        )
    )
    march, may, july = (config.on(date(2026, month, 31 if month != 6 else 30)) for month in (3, 5, 7))
    assert (march.entity, may.entity, march.fees.locality, may.fees.locality) == ("professional", "facility", "", "05")
    # A payer's table is its whole rule; a reading's says what changes.
    assert march.payers == {"MCARE": PayerRule(plan="medicare")}
    assert may.payers == {"MCARE": PayerRule(modifiers=("AB",))}
    assert (march.reading.performed, march.reading.urgent) == (("CM", "A"), ("S", "STAT", "A", "ASAP"))
    assert (july.reading.performed, july.reading.urgent, july.reading.assigning_authority) == (
        ("CM",), ("S",), "HOSPITAL",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[payers.A]]\n[[payers.A]]", "payers.A stands twice without `from`"),
        ("[[fees]]\n[[fees]]", "fees stands twice without `from`"),
        ("[[payers.A]]\nfrom = 2026-01-01\n[[payers.A]]\nfrom = 2026-01-01", "payers.A is said twice from 2026-01-01"),
        ("[[reading]]\nfrom = 2026-01-01\n[[reading]]\nfrom = 2026-01-01", "reading is said twice from 2026-01-01"),
        ("[[charging]]\nfrom = 2026-01-01\npolicy = 'cpt'\n" * 2, "policy is said twice"),
        ("[[charging]]\npolicy = 'cpt'", r"charging\[0\].from: this key is missing"),
        ("[[charging]]\nfrom = 'soon'", r"charging\[0\].from: \"soon\": not a date"),
        ("[[charging]]\nfrom = 2026-01-01\nport = 1", r"charging\[0\].port: this key is not known"),
        ("[[charging]]\nfrom = 2026-01-01\nentity = 'global'", "from 2026-01-01: entity 'global' is not for site"),
        ("[charging]\npolicy = 'cpt'", r"write it as \[\[charging\]\]"),
        ("[[charging]]\nfrom = 2026-01-01\n[charging.fees]", r"charging\[0\].fees: write a \[\[fees\]\] of its own"),
        ("[[reading]]\nfrom = 2026-01-01\ncharacter_set = 'ASCII'", r"reading\[0\].character_set cannot be dated"),
        ("[[payers.A]]\n[[payers.A]]\nfrom = 2026-01-01\nplan = 'x'", r"payers.A\[1\].plan: 'x' is not one of"),
        ("payers.A = [1]", r"payers.A\[0\] is no table"),
    ],
)  # fmt: skip
def test_dates_that_cannot_be(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(write(tmp_path, text))
