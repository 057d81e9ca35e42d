"""What a server is told about big rooms."""

import pytest

from palaver_server.config import Config, ConfigError, parse
from palaver_server.policy import DEFAULT


@pytest.mark.parametrize(("given", "speakers"), [("off", None), ("1", 1), ("16", 16), (8, 8)])
def test_how_many_speakers_a_big_room_has(tmp_path, given, speakers):
    path = tmp_path / "config.toml"
    path.write_text(f"speakers = {given!r}\nspeakers-above = 30")
    for arguments, environment in (
        (["--speakers", str(given), "--speakers-above", "30"], {}),
        ([], {"PALAVER_SPEAKERS": str(given), "PALAVER_SPEAKERS_ABOVE": "30"}),
        (["--config", str(path)], {}),
    ):
        policy = parse(arguments, environment).policy
        assert (policy.speakers, policy.speakers_above) == (speakers, 30)


def test_rooms_become_big_unless_told_otherwise():
    assert parse([], {}).policy == DEFAULT
    assert (DEFAULT.speakers, DEFAULT.speakers_above) == (4, 12)


@pytest.mark.parametrize("given", ["", "0", "17", "-1", "many", "on", "4.0", True, [4]])
def test_what_is_no_number_of_speakers_is_refused(given):
    with pytest.raises(ValueError, match="1 to 16 speakers, or off"):
        Config(speakers=given)
    with pytest.raises(ConfigError, match=r"command line: speakers = .*: 1 to 16 speakers, or off"):
        parse([f"--speakers={given}"], {})


@pytest.mark.parametrize("given", ["", "0", "10001", "-1", "off", "1.5", True, None])
def test_what_is_no_number_of_microphones_is_refused(given):
    with pytest.raises(ValueError, match=r"microphones|whole number"):
        Config(speakers_above=given)
    with pytest.raises(ConfigError, match="command line: speakers-above = "):
        parse([f"--speakers-above={given}"], {})
