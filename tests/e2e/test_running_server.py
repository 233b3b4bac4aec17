"""Known mistakes in the configuration of a docker-mailserver behind a proxy are not made."""

import re
from concurrent.futures import ThreadPoolExecutor

from mailproxy.api.mail_services import MAIL_SERVICES, Daemon, PortName
from tests.cluster.scene import Scene
from tests.e2e.services import DOVECOT, POSTFIX, proxy_port
from tests.e2e.sessions import MailClient

PROXY_PARAMETERS = ("postscreen_upstream_proxy_protocol", "smtpd_upstream_proxy_protocol")
CACHE_TROUBLE = re.compile("unable to get exclusive lock|proxywrite service is not configured")


def normal_and_extra_ports(scene: Scene) -> set[int]:
    extra = {s.proxy_port for s in MAIL_SERVICES} if scene.listeners == "Separate" else set()
    return {s.port for s in MAIL_SERVICES} | extra


def find_listening_ports(scene: Scene) -> set[int]:
    """TCP ports on which the pod listens, except for itself."""
    table = scene.run_in_mail_server("ss", "--listening", "--tcp", "--numeric", "--no-header")
    addresses = [line.split()[3].rpartition(":") for line in table.splitlines()]
    return {int(port) for host, _, port in addresses if host not in ("127.0.0.1", "[::1]")}


def find_dovecot_listeners(scene: Scene) -> dict[int, str]:
    """Settings of Dovecot's listeners by port, as the running configuration has them.

    Dovecot 2.4 omits defaults, such as the port of `imap`.
    """
    usual_ports = {service.listener: service.port for service in DOVECOT}
    config = scene.run_in_mail_server("doveconf", "-a")
    listeners: dict[int, str] = {}
    for name, block in re.findall(r"inet_listener (\S+) \{(.*?)\}", config, re.DOTALL):
        port = re.search(r"\bport = (\d+)", block)
        listeners[int(port[1]) if port else usual_ports.get(name, 0)] = block
    return listeners


def find_service_parameters(scene: Scene) -> dict[str, str]:
    """`postconf -P`: `12525/inet/mynetworks` and its value."""
    lines = scene.run_in_mail_server("postconf", "-P").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(" =") for line in lines)}


def proxy_service(scene: Scene, port: int, name: str) -> str:
    return f"{port if scene.listeners == 'Separate' else name}/inet"


def test_only_ports_of_the_eight_services_are_open(scene: Scene) -> None:
    """By default Debian 13 opens 2000 too, for ManageSieve without the PROXY protocol."""
    assert find_listening_ports(scene) - {8000} == normal_and_extra_ports(scene)


def test_every_proxy_port_of_dovecot_expects_a_header(scene: Scene) -> None:
    """ManageSieve too, which is easily forgotten."""
    listeners = find_dovecot_listeners(scene)
    for service in DOVECOT:
        port = proxy_port(service, scene)
        assert "haproxy = yes" in listeners[port], f"{service.name} on {port}: {listeners[port]}"


def test_normal_ports_of_dovecot_expect_no_header_beside_the_proxy_ports(
    separate_scene: Scene,
) -> None:
    listeners = find_dovecot_listeners(separate_scene)
    for service in DOVECOT:
        assert "haproxy = yes" not in listeners[service.port], f"{service.name}: {listeners}"


def test_proxy_protocol_is_set_for_services_and_not_for_all_of_postfix(scene: Scene) -> None:
    values = scene.run_in_mail_server("postconf", "-h", *PROXY_PARAMETERS).split()
    assert not values, f"main.cf has {values}"
    parameters = find_service_parameters(scene)
    for service in POSTFIX:
        entry = proxy_service(scene, service.proxy_port, service.listener)
        daemon = "postscreen" if service.daemon == Daemon.POSTSCREEN else "smtpd"
        assert parameters[f"{entry}/{daemon}_upstream_proxy_protocol"] == "haproxy", parameters


def test_smtpd_for_mail_from_the_edge_has_no_trusted_network(scene: Scene) -> None:
    """Parameters of the postscreen on the PROXY port do not apply to that smtpd."""
    parameters = find_service_parameters(scene)
    if scene.listeners == "Separate":
        assert parameters["12525/inet/smtpd_service_name"] == "smtpd-proxy"
    service = "smtpd-proxy/pass" if scene.listeners == "Separate" else "smtpd/pass"
    assert parameters[f"{service}/mynetworks"] == "", parameters


def test_two_postscreens_serve_at_the_same_time(
    separate_scene: Scene, webmail: tuple[MailClient, str]
) -> None:
    """With a cache file each, or one that both open, the second never answers."""
    scene = separate_scene
    through_edge = MailClient(scene, scene.addresses[0])
    clients = (through_edge, webmail[0])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda client: client.run_session(PortName.SMTP), clients))
    trouble = [line for line in scene.logs().splitlines() if CACHE_TROUBLE.search(line)]
    assert not trouble, trouble


def test_patches_that_run_again_change_nothing(separate_scene: Scene) -> None:
    """docker-mailserver runs them at every start, on the same files if the container restarts."""
    scene = separate_scene
    read = ("cat", "/etc/postfix/master.cf")
    before = scene.run_in_mail_server(*read)
    scene.run_in_mail_server("bash", "/tmp/docker-mailserver/user-patches.sh")
    assert scene.run_in_mail_server(*read) == before
    assert "duplicate master.cf entry" not in scene.logs()
