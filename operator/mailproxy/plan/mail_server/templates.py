"""Templates of the overrides, and the watcher's source."""

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

_LOADER = PackageLoader("mailproxy", "plan/mail_server/templates")
_ENVIRONMENT = Environment(
    loader=_LOADER,
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701  these are configuration files, not HTML
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)


def get_template(name: str) -> Template:
    """Template of the file `name`."""
    return _ENVIRONMENT.get_template(f"{name}.j2")


def load_watcher() -> str:
    """The program that lets the running mail server follow the edge; a part for each subject.

    It is no template, as `${#` would begin a comment there: it gets what it needs as arguments.
    """
    parts = ("settings", "networks", "mount", "firewall", "dovecot", "fail2ban", "main")
    names = [f"watcher/{part}.sh" for part in parts]
    return "".join(_LOADER.get_source(_ENVIRONMENT, name)[0] for name in names)
