"""`spec.mailServer` and `spec.internalClients`: what is behind the edge, and who else uses it."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from mailproxy.api.base import ApiModel, Rule, schema_rules
from mailproxy.api.names import (
    ClientName,
    ConfigMapName,
    ContainerName,
    NamespaceName,
    PodSelector,
    WorkloadName,
)


class Firewall(StrEnum):
    AUTO = "Auto"
    DISABLED = "Disabled"


class TrustUpdate(StrEnum):
    RELOAD = "Reload"
    RESTART = "Restart"
    MANUAL = "Manual"


class Wiring(StrEnum):
    MANUAL = "Manual"
    INJECT = "Inject"


class WorkloadKind(StrEnum):
    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class WorkloadRef(ApiModel):
    """The object that makes the mail server's pods, in the MailProxy's own namespace."""

    kind: WorkloadKind = Field(
        default=WorkloadKind.DEPLOYMENT,
        description="Kind of the object: `Deployment` or `StatefulSet`. Defaults to `Deployment`.",
    )
    name: WorkloadName = Field(description="Name of the object.")


_INJECT_NEEDS_WORKLOAD = Rule(
    "self.wiring != 'Inject' || has(self.workloadRef)",
    "`mailServer.wiring: Inject` needs `mailServer.workloadRef`: it is what gets the mounts",
    lambda server: server.wiring != Wiring.INJECT or server.workload_ref is not None,
    field_path=".workloadRef",
    reason="FieldValueRequired",
)
_RESTART_NEEDS_WORKLOAD = Rule(
    "self.trustUpdate != 'Restart' || has(self.workloadRef)",
    "`mailServer.trustUpdate: Restart` needs `mailServer.workloadRef`: it is what is restarted",
    lambda server: server.trust_update != TrustUpdate.RESTART or server.workload_ref is not None,
    field_path=".workloadRef",
    reason="FieldValueRequired",
)
_SERVER_RULES = (_INJECT_NEEDS_WORKLOAD, _RESTART_NEEDS_WORKLOAD)


class MailServerSpec(ApiModel):
    """The mail server behind the edge."""

    model_config = ApiModel.model_config | {"json_schema_extra": schema_rules(*_SERVER_RULES)}

    pod_selector: PodSelector = Field(
        description="Finds the mail server's pods, in the MailProxy's own namespace."
    )
    container_name: ContainerName | None = Field(
        default=None,
        description="Container of those pods in which Postfix and Dovecot run. Defaults to the"
        " first one.",
    )
    workload_ref: WorkloadRef | None = Field(
        default=None,
        description="The Deployment or StatefulSet that makes those pods. Needed for `wiring:"
        " Inject` and `trustUpdate: Restart`, which change it; nothing else does. It is changed"
        ' only if it carries the annotation `mailproxy.dev/allow-wiring: "true"`, and the operator'
        " has the right (`manifests/components/wiring`). Defaults to none.",
    )
    wiring: Wiring = Field(
        default=Wiring.MANUAL,
        description="Who mounts the ConfigMaps `<name>-overrides` and `<name>-trust` into the mail"
        " server. `Manual`: your own manifests; the condition `MailServerReady` names what is"
        " missing. `Inject`: the operator, by server-side apply of just these volumes and mounts"
        " to `workloadRef`, and it takes them out again when this says `Manual` or the MailProxy"
        " goes; the mail server restarts each time. Defaults to `Manual`.",
    )
    firewall: Firewall = Field(
        default=Firewall.AUTO,
        description="`Auto`: where the mail server's container has nft and the capability NET_ADMIN"
        " (docker-mailserver asks for both when Fail2ban is on), it refuses every source but the"
        " trusted ones on the PROXY ports, in nftables of its own: the list of trusted proxies that"
        " Postfix lacks. Works with `listeners: Separate`; elsewhere, and without NET_ADMIN, only"
        " the network policy guards them. `Disabled`: never. Takes effect when the mail server"
        " restarts. Defaults to `Auto`.",
    )
    trust_update: TrustUpdate = Field(
        default=TrustUpdate.RELOAD,
        description="How a running Dovecot learns that the trusted networks have changed."
        " `Reload`: a program in the mail server's container reloads it; sessions go on. `Restart`:"
        " the operator restarts `workloadRef`; sessions end. `Manual`: you do, with `doveadm"
        " reload`, and a new proxy pod is refused until then. Defaults to `Reload`.",
    )
    overrides_from: ConfigMapName | None = Field(
        default=None,
        description="ConfigMap, in the MailProxy's own namespace, with your own `dovecot.cf`,"
        " `postfix-master.cf`, `postfix-main.cf` and `user-patches.sh`: those that you have, and"
        " nothing else. docker-mailserver has one place for each, so they are merged before"
        " mailproxy's into the ConfigMap `<name>-overrides`, which is the one to mount. A file that"
        " would defeat mailproxy's is refused: the condition `Accepted` names the line, and"
        " `<name>-overrides` stays as it is, or is not made. Where Dovecot cannot read your"
        " `dovecot.cf`, it starts without it and the container's log says why. Whoever may change"
        " your ConfigMap runs programs as root in the mail server. Takes effect when the mail"
        " server restarts. At most 128 KiB in all. Defaults to no files of your own.",
    )

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in _SERVER_RULES:
            rule.check(self)
        return self


class InternalClientSpec(ApiModel):
    """Pods that use the mail server's normal ports for many users, such as a webmail."""

    name: ClientName = Field(description="Name used for these pods in messages.")
    namespace: NamespaceName | None = Field(
        default=None,
        description="Namespace in which they run. Defaults to the MailProxy's own.",
    )
    pod_selector: PodSelector = Field(
        description="Finds them; pods with hostNetwork do not count. Whoever may create pods with"
        " these labels in that namespace is never banned by Fail2ban."
    )
    forwards_client_ip: bool | None = Field(
        default=None,
        strict=True,
        alias="forwardsClientIP",
        description="`true`: Dovecot accepts the client address that they name (IMAP: the `ID`"
        " command with `x-originating-ip`), so logs and login limits see the user behind them; any"
        " of these pods can then claim any address. Dovecot 2.3 also offers them logins without"
        " TLS. Defaults to `false`.",
    )
