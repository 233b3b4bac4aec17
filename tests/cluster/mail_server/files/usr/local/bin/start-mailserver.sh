#!/bin/bash
# Configures the mail server from the container's environment and /tmp/docker-mailserver, then
# starts it. It does what docker-mailserver's start-up does, in its order, as far as it matters to
# whose PROXY header is believed, who may relay and which client address is seen. Variables and files
# have docker-mailserver's names and meanings.
set -euo pipefail

: "${OVERRIDE_HOSTNAME:=$(hostname -f)}" # the certificate's name too; it needs a domain
: "${NETWORK_INTERFACE:=eth0}"
: "${PERMIT_DOCKER:=none}"         # whom port 25 lets relay: see trusted_networks
: "${POSTFIX_INET_PROTOCOLS:=all}" # or ipv4
: "${DEFAULT_RELAY_HOST:=}"        # [host]:port that gets mail for others; empty: it stays queued
: "${SSL_TYPE:=self-signed}"       # or manual, with SSL_CERT_PATH and SSL_KEY_PATH
: "${ENABLE_POP3:=1}"
: "${ENABLE_MANAGESIEVE:=1}"
: "${ENABLE_FAIL2BAN:=1}"

readonly OVERRIDES=/tmp/docker-mailserver TLS=/etc/dms/tls LOG=/var/log/mail/mail.log
readonly VMAIL_ID=5000

# A server that cannot be configured must end, not hang about. Where all goes well `exec` is last.
trap 'echo "start-mailserver.sh failed" >&2; supervisorctl shutdown >/dev/null' EXIT

setup_files() {
  install -d -o root -g adm "${LOG%/*}"
  install -d -o "${VMAIL_ID}" -g "${VMAIL_ID}" /var/mail
  : >>"${LOG}"
}

setup_tls() {
  install -d "${TLS}"
  if [[ ${SSL_TYPE} == manual ]]; then
    install -m 0644 "${SSL_CERT_PATH}" "${TLS}/cert"
    install -m 0600 "${SSL_KEY_PATH}" "${TLS}/key"
  else
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
      -subj "/CN=${OVERRIDE_HOSTNAME}" -addext "subjectAltName=DNS:${OVERRIDE_HOSTNAME}" \
      -keyout "${TLS}/key" -out "${TLS}/cert" 2>/dev/null
  fi
}

setup_dovecot() {
  local protocols='imap lmtp'
  [[ ${ENABLE_POP3} != 1 ]] || protocols+=' pop3'
  [[ ${ENABLE_MANAGESIEVE} != 1 ]] || protocols+=' sieve'
  echo "protocols = ${protocols}" >/etc/dovecot/conf.d/96-protocols.conf
}

# Lines of postfix-accounts.cf: user@domain|{SCHEME}hash
setup_accounts() {
  local account password user domain
  : >/etc/dovecot/userdb
  : >/etc/postfix/vmailbox
  chown root:dovecot /etc/dovecot/userdb
  chmod 0640 /etc/dovecot/userdb
  while IFS='|' read -r account password _ || [[ -n ${account} ]]; do
    [[ ${account} == [^#]*@* ]] || continue
    user=${account%@*} domain=${account##*@}
    echo "${account}:${password}:${VMAIL_ID}:${VMAIL_ID}::/var/mail/${domain}/${user}/home::" \
      >>/etc/dovecot/userdb
    echo "${account} ${domain}/${user}/" >>/etc/postfix/vmailbox
  done <"${OVERRIDES}/postfix-accounts.cf"
  sed 's/ .*//; s/.*@//' /etc/postfix/vmailbox | sort -u >/etc/postfix/vhost
}

# Networks whose clients may relay without a password, by PERMIT_DOCKER.
trusted_networks() {
  local own='127.0.0.0/8 [::1]/128 [fe80::]/64' address
  address=$(ip -o -4 address show dev "${NETWORK_INTERFACE}" | awk '{ print $4; exit }')
  if [[ -z ${address} ]]; then
    echo "${NETWORK_INTERFACE} has no IPv4 address: NETWORK_INTERFACE cannot be this one" >&2
    return 1
  fi
  case ${PERMIT_DOCKER} in
    none) ;;
    container) echo "${own} ${address%/*}/32" ;;
    network) echo "${own} 172.16.0.0/12" ;;
    connected-networks) echo "${own} $(network_of "${address}")" ;;
    host) echo "${own} $(network_of "${address%/*}/16")" ;;
    *)
      echo "PERMIT_DOCKER cannot be ${PERMIT_DOCKER}" >&2
      return 1
      ;;
  esac
}

# network_of <address>/<length>: the same with the host's bits cleared
network_of() {
  python3 -c 'import ipaddress, sys; print(ipaddress.ip_interface(sys.argv[1]).network)' "$1"
}

setup_postfix() {
  local networks deferred=
  networks=$(trusted_networks)
  [[ -n ${DEFAULT_RELAY_HOST} ]] || deferred=smtp
  echo "${OVERRIDE_HOSTNAME#*.}" >/etc/mailname
  cat >>/etc/postfix/main.cf <<END
myhostname = ${OVERRIDE_HOSTNAME}
mydomain = ${OVERRIDE_HOSTNAME#*.}
inet_protocols = ${POSTFIX_INET_PROTOCOLS}
mynetworks = ${networks}
relayhost = ${DEFAULT_RELAY_HOST}
defer_transports = ${deferred}
END
}

setup_fail2ban() {
  copy_override fail2ban-fail2ban.cf /etc/fail2ban/fail2ban.local
  copy_override fail2ban-jail.cf /etc/fail2ban/jail.d/user-jail.local
}

# copy_override <name> <target>: if the user has it
copy_override() {
  [[ ! -f ${OVERRIDES}/$1 ]] || cp "${OVERRIDES}/$1" "$2"
}

override_postfix() {
  local line
  if [[ -f ${OVERRIDES}/postfix-main.cf ]]; then
    cat "${OVERRIDES}/postfix-main.cf" >>/etc/postfix/main.cf
    postconf -n >/etc/postfix/main.cf.new 2>/dev/null # of each parameter the last line
    mv /etc/postfix/main.cf.new /etc/postfix/main.cf
  fi
  # Postfix would wait for two seconds before it reads a file that has just changed.
  touch -d '1 minute ago' /etc/postfix/main.cf
  [[ -f ${OVERRIDES}/postfix-master.cf ]] || return 0
  while read -r line; do
    [[ ! ${line} =~ ^[0-9a-z] ]] || postconf -P "${line}" || true
  done <"${OVERRIDES}/postfix-master.cf"
}

# Whatever becomes of it, docker-mailserver goes on.
run_user_patches() {
  [[ ! -f ${OVERRIDES}/user-patches.sh ]] || /bin/bash "${OVERRIDES}/user-patches.sh" || true
}

start_daemons() {
  local daemons=(rsyslog dovecot postfix)
  [[ ${ENABLE_FAIL2BAN} != 1 ]] || daemons+=(fail2ban)
  supervisorctl start "${daemons[@]}"
}

setup_files
setup_dovecot
setup_accounts
setup_tls
setup_postfix
setup_fail2ban
override_postfix
copy_override dovecot.cf /etc/dovecot/local.conf
run_user_patches
start_daemons
echo "${OVERRIDE_HOSTNAME} is up and running"
exec tail --lines=+1 --follow=name "${LOG}"
