"""What is fatal in other set-ups does not happen: looked up in the running servers.

Each case has broken a docker-mailserver behind a proxy before.
"""

import re
from concurrent.futures import ThreadPoolExecutor

from mailproxy.api.mail_services import MAIL_SERVICES, Daemon, PortName
from tests.cluster.scene import Scene
from tests.e2e.services import DOVECOT, POSTFIX, proxy_port
from tests.e2e.sessions import Visitor

PROXY_PARAMETERS = ("postscreen_upstream_proxy_protocol", "smtpd_upstream_proxy_protocol")
CACHE_TROUBLE = re.compile("unable to get exclusive lock|proxywrite service is not configured")


def normal_and_extra_ports(scene: Scene) -> set[int]:
    extra = {s.proxy_port for s in MAIL_SERVICES} if scene.listeners == "Separate" else set()
    return {s.port for s in MAIL_SERVICES} | extra


def find_listening_ports(scene: Scene) -> set[int]:
    """TCP ports on which the pod listens for others than itself."""
    table = scene.run_in_mail_server("ss", "--listening", "--tcp", "--numeric", "--no-header")
    addresses = [line.split()[3].rpartition(":") for line in table.splitlines()]
    return {int(port) for host, _, port in addresses if host not in ("127.0.0.1", "[::1]")}


def find_dovecot_listeners(scene: Scene) -> dict[int, str]:
    """Settings of Dovecot's listeners by port, as the running configuration has them.

    Dovecot 2.4 leaves out what nobody has set, such as the port of `imap`.
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


def test_no_port_is_open_but_those_of_the_eight_services(scene: Scene) -> None:
    """Debian 13 would open 2000 too, for ManageSieve, and without the PROXY protocol."""
    assert find_listening_ports(scene) - {8000} == normal_and_extra_ports(scene)


def test_every_proxy_port_of_dovecot_expects_a_header(scene: Scene) -> None:
    """ManageSieve is the one that others forget."""
    listeners = find_dovecot_listeners(scene)
    for service in DOVECOT:
        port = proxy_port(service, scene)
        assert "haproxy = yes" in listeners[port], f"{service.name} on {port}: {listeners[port]}"


def test_normal_ports_of_dovecot_want_no_header_beside_the_proxy_ports(
    separate_scene: Scene,
) -> None:
    listeners = find_dovecot_listeners(separate_scene)
    for service in DOVECOT:
        assert "haproxy = yes" not in listeners[service.port], f"{service.name}: {listeners}"


def test_proxy_protocol_is_set_for_services_and_never_for_all_of_postfix(scene: Scene) -> None:
    values = scene.run_in_mail_server("postconf", "-h", *PROXY_PARAMETERS).split()
    assert not values, f"main.cf has {values}"
    parameters = find_service_parameters(scene)
    for service in POSTFIX:
        entry = proxy_service(scene, service.proxy_port, service.listener)
        daemon = "postscreen" if service.daemon == Daemon.POSTSCREEN else "smtpd"
        assert parameters[f"{entry}/{daemon}_upstream_proxy_protocol"] == "haproxy", parameters


def test_smtpd_that_judges_mail_of_the_edge_has_no_trusted_network(scene: Scene) -> None:
    """What is set for the postscreen on the PROXY port does not reach that smtpd."""
    parameters = find_service_parameters(scene)
    if scene.listeners == "Separate":
        assert parameters["12525/inet/smtpd_service_name"] == "smtpd-proxy"
    judge = "smtpd-proxy/pass" if scene.listeners == "Separate" else "smtpd/pass"
    assert parameters[f"{judge}/mynetworks"] == "", parameters


def test_two_postscreens_serve_at_the_same_time(
    separate_scene: Scene, webmail: tuple[Visitor, str]
) -> None:
    """With a cache file for each, or one that both open, the second never answers."""
    scene = separate_scene
    through_edge = Visitor(scene, scene.addresses[0])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda visitor: visitor.visit(PortName.SMTP), (through_edge, webmail[0])))
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
