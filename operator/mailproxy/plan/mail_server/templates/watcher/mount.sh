
# ===== The mounted ConfigMap =====

# read_file <name of a variable> <file>: the text, if it is text that ends with a whole line
read_file() {
  local -n text=$1
  text=''
  if IFS= read -r -d '' -n "${MAX_CHARACTERS}" text 2>/dev/null <"$2"; then
    refusal="${2##*/} is too long or no text"
    return 1
  elif [[ ${text} != *$'\n' ]]; then
    refusal="${2##*/} is missing or not complete"
    return 1
  fi
}

# read_folder <folder>: sets `text`, `proxies` and `clients`, all or none of them; `refusal` says
# why none.
read_folder() {
  local found line others='' new_proxies=() new_clients=() login=()
  refusal=''
  read_file found "$1/dovecot-trust.conf" || return 1
  line=${found%%$'\n'*}
  if [[ "${line} " != 'haproxy_trusted_networks = '* ]]; then
    refusal='dovecot-trust.conf does not begin with haproxy_trusted_networks'
    return 1
  fi
  line=${line#haproxy_trusted_networks =}
  parse_networks new_proxies "${line# }" || return 1
  line=${found#*$'\n'}
  if [[ -n ${line} ]]; then
    line=${line%$'\n'}
    if [[ ! ${line} =~ ^login_trusted_networks\ =(\ [^$'\n']+)?$ ]]; then
      refusal='dovecot-trust.conf has a line that is unknown'
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

# look: takes over what the kubelet has exchanged. The version that was read last is kept open, so
# that no later one can be taken for it, and all its files are read through it.
look() {
  local refusal old_text=${text} old_proxies old_clients
  [[ -z ${pin} || ! ${MOUNT}/..data -ef /dev/fd/${pin} ]] || return 0
  old_proxies=("${proxies[@]}") old_clients=("${clients[@]}")
  [[ -z ${pin} ]] || exec {pin}<&-
  pin=''
  if ! { exec {pin}<"${MOUNT}/..data"; } 2>/dev/null; then
    pin='' text=$'haproxy_trusted_networks =\n' proxies=() clients=()
    say mount "no ConfigMap is mounted as directory ${MOUNT} (without subPath): no proxy is trusted"
  elif read_folder "/dev/fd/${pin}"; then
    say mount
    say list
  elif [[ ${MOUNT}/..data -ef /dev/fd/${pin} ]]; then # else there is a newer one to look at
    say list "the list in ${MOUNT} is refused, so nothing changes: ${refusal}"
  fi
  [[ ${text} != "${old_text}" || "${clients[*]-}" != "${old_clients[*]-}" || -n ${starting} ]] ||
    return 0
  starting=''
  describe 'trusted proxies' old_proxies proxies
  describe 'internal clients' old_clients clients
  apply
}

# describe <what> <name of an array> <name of an array>: adds to the news how the second differs
describe() {
  local -n before=$2 after=$3
  local added=() removed=()
  subtract added after before
  subtract removed before after
  mention "$1 added" "${added[@]}"
  mention "$1 removed" "${removed[@]}"
}

mention() {
  local what=$1 names
  shift
  (($#)) || return 0
  names="${*:1:20}"
  news+="${news:+; }${what}: ${names// /, }"
  (($# <= 20)) || news+=" and $(($# - 20)) more"
}

# subtract <name of an array> <name of an array> <name of an array>: first = second - third
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
