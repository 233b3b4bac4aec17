#!/bin/bash
# mailproxy-watcher [--once] [--reload] [--firewall=<port>,<port>...]
#
# Lets the running mail server follow the edge. The mounted ConfigMap lists the proxies whose PROXY
# protocol headers are accepted, and the pods that use the normal ports on behalf of many users. The
# watcher checks the list and applies it to
#   Dovecot    a file that its configuration includes; with --reload Dovecot is reloaded;
#   Postfix    has no such list: with --firewall an nftables table of our own resets connections to
#              these ports from any other address. It needs the capability NET_ADMIN;
#   Fail2ban   never bans these addresses, in addition to those in the user's own `ignoreip`.
# supervisord runs it. With --once it does what must be done before the mail server starts.
# It needs bash and coreutils, and starts no process while nothing changes.
# Arrays are passed by name.
# shellcheck disable=SC2034
set -u
export LC_ALL=C
shopt -s nullglob

readonly STATE=/etc/mailproxy
readonly MOUNT=${STATE}/trust COPY=${STATE}/dovecot-trust.conf CLIENTS=${STATE}/internal-clients
readonly FAIL2BAN=/etc/fail2ban FAIL2BAN_PID=/run/fail2ban/fail2ban.pid
readonly JAIL_FILE=${FAIL2BAN}/jail.d/zz-mailproxy.local # read last
readonly KNOWN='%(known/ignoreip)s'
readonly POLL_SECONDS=0.1
readonly RETRY_POLLS=300 # between two attempts at what has failed
readonly RELOAD_POLLS=2000 RELOAD_POLL_SECONDS=0.005 # by then Dovecot must have reloaded
readonly WIDEST_IPV4=8 WIDEST_IPV6=32
readonly MAX_CHARACTERS=250000
readonly OCTET='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'

once='' reload='' firewall=''
base_dir=/run/dovecot
starting=yes # what an earlier run has done is unknown
polls=0      # so far

mount_fd=''                          # open on the version of the mount that was read last
text=$'haproxy_trusted_networks =\n' # Dovecot's file, as that version has it
proxies=() clients=()                # the networks of that version
pending_log=''                       # what the log does not say about it yet

copy=''            # Dovecot's file as it is on disk
loaded=''          # as Dovecot has read it last; empty if unknown
must_reload=''     # the file has changed since then
postponed=''       # the last update of Dovecot failed and is retried
firewall_failed='' # nft failed and is retried
fail2ban_applied=() # networks that a running Fail2ban ignores, as far as we have told it
fail2ban_pending='' # it has to be told of others

dovecot_retry=0 firewall_retry=0 fail2ban_retry=0 # not before this poll

log() {
  printf 'mailproxy: %s\n' "$*" >&2
}

# warn_once <subject> <problem>: logs a problem the first time; without <problem> it is solved.
warn_once() {
  local file=${STATE}/warned-$1 before=''
  shift
  [[ ! -e ${file} ]] || IFS= read -r before <"${file}" || true
  [[ "$*" != "${before}" ]] || return 0
  printf '%s\n' "$*" >"${file}"
  [[ -z "$*" ]] || log "$@"
}

# sleep_without_fork <seconds>: nobody ever writes into this pipe.
exec {idle}<> <(:)
sleep_without_fork() {
  read -r -t "$1" -u "${idle}" || true
}

# write_file <file> <text>: as a whole or not at all
write_file() {
  printf '%s' "$2" >"$1.new" && mv -f "$1.new" "$1"
}
