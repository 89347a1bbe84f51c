"""`workstation prepare …` and what `workstation list` says of it."""

from pathlib import Path

import pytest

from tests.workstation.conftest import Command, SiteAt
from tests.workstation.preparation.preparing import prepare, small
from tests.workstation.samples import CT_HEAD, DATA, SERIES_UID
from workstation.preparation.working import plan_all

_RULES = """
[[prepare]]
name = "head"
protocol = "ct_head_trauma"
modality = "CT"
priority = 3
[[prepare]]
name = "brain"
protocol = "mr_generic"
modality = "MR"
"""


@pytest.fixture
def root(tmp_path: Path, command: Command, slices: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "config.toml").write_text(_RULES)
    command("import", slices)
    return folder


def test_trying_draws_nothing_and_says_why_not(command: Command, root: Path) -> None:
    (row,) = command("prepare", "try", "--json").json
    assert (row["rules"], row["makes"], row["reason"]) == (["head"], ["ct_head_trauma"], "")
    (row,) = command("prepare", "try", "--rules", DATA / "prepare.toml", CT_HEAD, "--json").json
    assert (row["rules"], row["images"], row["volumes"]) == (["Head"], 108, [0])
    only_mr = root / "rules.toml"
    only_mr.write_text(_RULES.replace('"CT"', '"US"'))
    said = command("prepare", "try", "--rules", only_mr).out
    assert "head: modality is CT; brain: modality is CT" in said
    assert command("prepare", "list", "--json").json == [] and not (root / "prepared").exists()
    only_mr.write_text("[[prepares]]\n")
    wrong = command("prepare", "try", "--rules", only_mr)
    assert wrong.code == 1 and f"{only_mr}: prepares: this key is not known" in wrong.err


def test_from_waiting_to_ready_cancelled_and_again(
    command: Command, root: Path, site_at: SiteAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    site = site_at(root)
    plan_all(site)
    (row,) = command("prepare", "list", "--json").json
    assert (row["state"], row["rule"], row["priority"], row["attempts"]) == ("waiting", "head", 3, 0)
    assert prepare(site) == ["ready"]
    assert command("list", "--json").json[0]["prepared"] == "ready" and "prepared" in command("list").out
    (shown,) = command("prepare", "show", SERIES_UID, "--json").json
    assert [picture["name"] for picture in shown["pictures"]] == ["Bone", "MIP", "Axial"]
    assert all(Path(picture["still"]).is_file() for picture in shown["pictures"])
    assert "head: ready" in command("prepare", "show", SERIES_UID).out
    assert command("prepare", "list", "--state", "failed", "--json").json == []
    assert command("prepare", "list", "--state", "fail").code == 2
    assert command("prepare", "cancel", SERIES_UID).out == "head is cancelled.\n"
    assert command("prepare", "cancel", SERIES_UID).code == 1
    assert [row["state"] for row in command("prepare", "again", SERIES_UID, "--json").json] == ["waiting"]
    other = command("prepare", "again", SERIES_UID, "--rule", "brain")
    assert other.code == 1 and "is not prepared by rule 'brain': head is followed instead." in other.err
    assert command("prepare", "show", "1.2.3").code == 1
