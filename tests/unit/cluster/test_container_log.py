"""What a container has printed, in the kubelet's files."""

from pathlib import Path

from tests.cluster.container_log import Line, find_log, read_lines

LOG = """\
2026-11-26T01:13:00.250000000Z stdout F mailproxy: trusted proxies added: 10.0.0.1
2026-11-26T03:13:01.5+02:00 stderr F
2026-11-26T01:13:02.75Z stderr F two  blanks stay
"""


def test_lines_have_the_time_at_which_they_were_printed(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_text(LOG)
    assert read_lines(log, 0) == [
        Line(1795655580.25, "mailproxy: trusted proxies added: 10.0.0.1"),
        Line(1795655582.75, "two  blanks stay"),
    ]
    assert [line.text for line in read_lines(log, LOG.index("2026-11-26T03"))] == [
        "two  blanks stay"
    ]
    assert read_lines(log, len(LOG)) == []


def test_log_is_that_of_the_containers_last_start(tmp_path: Path) -> None:
    folder = tmp_path / "mail_pod_1234" / "mail"
    folder.mkdir(parents=True)
    for name in ("2.log", "10.log", "9.log"):
        (folder / name).touch()
    assert find_log(tmp_path, "mail", "pod", "1234", "mail") == folder / "10.log"
