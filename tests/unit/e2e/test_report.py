"""The table at the end of a run."""

from dataclasses import replace

from tests.e2e.report import MAX_LINE, Proof, render

PROOF = Proof(
    port=993,
    service="imaps",
    mode="Shared",
    dovecot="2.4",
    family="IPv4",
    client="10.98.0.5",
    line="Nov 22 23:11:01 mail dovecot: imap-login: Logged in: user=<me>, rip=10.98.0.5",
)


def test_columns_are_aligned_below_their_names() -> None:
    head, row = render([PROOF])
    assert head == "PORT  SERVICE  MODE    DOVECOT  FAMILY  CLIENT     LINE"
    assert row == (
        "993   imaps    Shared  2.4      IPv4    10.98.0.5  "
        "imap-login: Logged in: user=<me>, rip=10.98.0.5"
    )


def test_rows_are_sorted_by_port_and_mode_without_duplicates() -> None:
    smtp, separate = replace(PROOF, port=25), replace(PROOF, mode="Separate")
    _, *rows = render([PROOF, separate, smtp, PROOF])
    assert [row.split()[0] for row in rows] == ["25", "993", "993"]
    assert [row.split()[2] for row in rows] == ["Shared", "Separate", "Shared"]


def test_long_line_is_cut_at_its_end() -> None:
    long = replace(PROOF, line="host postfix/smtpd[1]: 4F2A: client=unknown[10.98.0.5]" + "x" * 500)
    row = render([long])[1]
    assert row.endswith("...")
    assert "  postfix/smtpd[1]: 4F2A: client=unknown[10.98.0.5]" in row
    assert len(row.rpartition("  ")[2]) == MAX_LINE
