
# ===== The mounted ConfigMap =====

# read_file <variable> <file>: the content, if it is text that ends with a complete line
read_file() {
  local -n text=$1
  text=''
  if IFS= read -r -d '' -n "${MAX_CHARACTERS}" text 2>/dev/null <"$2"; then
    reason="${2##*/} is too long or no text"
    return 1
  elif [[ ${text} != *$'\n' ]]; then
    reason="${2##*/} is missing or incomplete"
    return 1
  fi
}

# read_folder <folder>: sets `text`, `proxies` and `clients`, all or none of them. On failure
# `reason` says what is wrong.
read_folder() {
  local found line others='' new_proxies=() new_clients=() login=()
  reason=''
  read_file found "$1/dovecot-trust.conf" || return 1
  line=${found%%$'\n'*}
  if [[ "${line} " != 'haproxy_trusted_networks = '* ]]; then
    reason='dovecot-trust.conf does not begin with haproxy_trusted_networks'
    return 1
  fi
  line=${line#haproxy_trusted_networks =}
  parse_networks new_proxies "${line# }" || return 1
  line=${found#*$'\n'}
  if [[ -n ${line} ]]; then
    line=${line%$'\n'}
    if [[ ! ${line} =~ ^login_trusted_networks\ =(\ [^$'\n']+)?$ ]]; then
      reason='dovecot-trust.conf has an unknown line'
      return 1
    fi
    parse_networks login "${BASH_REMATCH[1]# }" || return 1
  fi
  if [[ -e $1/internal-clients ]]; then
    read_file others "$1/internal-clients" || return 1
  fi
  parse_networks new_clients "${others%$'\n'}" || return 1
  text=${found} proxies=("${new_proxies[@]}") clients=("${new_clients[@]}")
}

# poll: applies what the kubelet has exchanged. The version that was read last stays open, so that
# no later one can have its inode, and all of its files are read through it.
poll() {
  local reason old_text=${text} old_proxies old_clients
  [[ -z ${mount_fd} || ! ${MOUNT}/..data -ef /dev/fd/${mount_fd} ]] || return 0
  old_proxies=("${proxies[@]}") old_clients=("${clients[@]}")
  [[ -z ${mount_fd} ]] || exec {mount_fd}<&-
  mount_fd=''
  if ! { exec {mount_fd}<"${MOUNT}/..data"; } 2>/dev/null; then
    mount_fd='' text=$'haproxy_trusted_networks =\n' proxies=() clients=()
    warn_once mount \
      "no ConfigMap is mounted as directory ${MOUNT} (without subPath): no proxy is trusted"
  elif read_folder "/dev/fd/${mount_fd}"; then
    warn_once mount
    warn_once list
  elif [[ ${MOUNT}/..data -ef /dev/fd/${mount_fd} ]]; then # otherwise there is a newer one to read
    warn_once list "the list in ${MOUNT} is invalid and changes nothing: ${reason}"
  fi
  [[ ${text} != "${old_text}" || "${clients[*]-}" != "${old_clients[*]-}" || -n ${starting} ]] ||
    return 0
  starting=''
  describe_change 'trusted proxies' old_proxies proxies
  describe_change 'internal clients' old_clients clients
  apply
}

# describe_change <what> <array> <array>: adds to the pending log how the second differs
describe_change() {
  local -n before=$2 after=$3
  local added=() removed=()
  subtract added after before
  subtract removed before after
  add_to_log "$1 added" "${added[@]}"
  add_to_log "$1 removed" "${removed[@]}"
}

add_to_log() {
  local what=$1 names
  shift
  (($#)) || return 0
  names="${*:1:20}"
  pending_log+="${pending_log:+; }${what}: ${names// /, }"
  (($# <= 20)) || pending_log+=" and $(($# - 20)) more"
}

# subtract <array> <array> <array>: first = second - third
subtract() {
  local -n difference=$1 minuend=$2 subtrahend=$3
  local item
  local -A present=()
  for item in "${subtrahend[@]}"; do
    present[${item}]=yes
  done
  difference=()
  for item in "${minuend[@]}"; do
    [[ -n ${present[${item}]-} ]] || difference+=("${item}")
  done
}
