#!/bin/bash
# mailproxy-watcher [--once] [--reload] [--firewall=<port>,<port>...]
#
# Lets the running mail server follow the edge. The mounted ConfigMap says whose PROXY protocol
# header is believed, and which pods speak to the normal ports for many users. What it says is
# checked, and then taken over by
#   Dovecot    a file that its configuration includes, and with --reload a reload;
#   Postfix    has no such list: with --firewall our own nftables table resets what comes to these
#              ports from anyone else. It needs the capability NET_ADMIN;
#   Fail2ban   never bans these addresses, in addition to those of the user's own `ignoreip`.
# supervisord runs it; with --once it does what has to be done before the mail server starts.
# It needs bash and coreutils, and starts no process while nothing changes.
# Arrays are handed on by name.
# shellcheck disable=SC2034
set -u
export LC_ALL=C
shopt -s nullglob

readonly STATE=/etc/mailproxy
readonly MOUNT=${STATE}/trust COPY=${STATE}/dovecot-trust.conf CLIENTS=${STATE}/internal-clients
readonly FAIL2BAN=/etc/fail2ban FAIL2BAN_PID=/run/fail2ban/fail2ban.pid
readonly JAIL_FILE=${FAIL2BAN}/jail.d/zz-mailproxy.local # read last
readonly KNOWN='%(known/ignoreip)s'
readonly PAUSE=0.1                                       # seconds between two looks
readonly PATIENCE=300                                    # looks until what failed is tried again
readonly RELOAD_LOOKS=2000 RELOAD_PAUSE=0.005            # until Dovecot must have reloaded
readonly WIDEST_IPV4=8 WIDEST_IPV6=32
readonly MAX_CHARACTERS=250000
readonly OCTET='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'

once='' reload='' firewall=''
base_dir=/run/dovecot
starting=yes # nothing is known of what an earlier run has done
ticks=0      # looks so far

pin=''                               # file descriptor of the mount's version that was read last
text=$'haproxy_trusted_networks =\n' # what that says: Dovecot's file
proxies=() clients=()                # and its networks
news=''                              # what the log still has to say about it

copy=''        # Dovecot's file as it is
believed=''    # as Dovecot has read it last; empty if that is not known
must_reload='' # since then it has changed
postponed=''   # it has complained, and has to be told again
unfiltered=''  # nft has to run, perhaps once more
told=()        # networks that a running Fail2ban ignores, as far as we have told it
due=''         # it has to be told of others

dovecot_retry=0 filter_retry=0 fail2ban_retry=0 # not before this look

log() {
  printf 'mailproxy: %s\n' "$*" >&2
}

# say <about what> <what>: logs what is wrong, and once only; without <what> it is mended.
say() {
  local file=${STATE}/said-$1 before=''
  shift
  [[ ! -e ${file} ]] || IFS= read -r before <"${file}" || true
  [[ "$*" != "${before}" ]] || return 0
  printf '%s\n' "$*" >"${file}"
  [[ -z "$*" ]] || log "$@"
}

# rest <seconds>: no process is needed for it, as nobody ever writes into this pipe.
exec {idle}<> <(:)
rest() {
  read -r -t "$1" -u "${idle}" || true
}

# write_file <file> <text>: at once or not at all
write_file() {
  printf '%s' "$2" >"$1.new" && mv -f "$1.new" "$1"
}
