
# ===== Networks =====

# is_ipv4 <address> <prefix length>: succeeds for a network without host bits.
is_ipv4() {
  local address=$1 length=$2 number=0 octet
  [[ ${address} =~ ^(${OCTET}\.){3}${OCTET}$ ]] || return 1
  ((length >= WIDEST_IPV4 && length <= 32)) || return 1
  for octet in ${address//./ }; do
    number=$((number << 8 | octet))
  done
  ((length == 32 || (number & ((1 << (32 - length)) - 1)) == 0))
}

# is_ipv6 <address> <prefix length>: the same; rejects zones and IPv4-mapped addresses.
is_ipv6() {
  local address=$1 length=$2 index bits groups=() head=() tail=()
  [[ ${address} =~ ^[0-9a-f:]+$ && ${address} != *:::* ]] || return 1
  ((length >= WIDEST_IPV6 && length <= 128)) || return 1
  if [[ ${address} == *::* ]]; then
    [[ ${address#*::} != *::* ]] || return 1
    split head "${address%%::*}" || return 1
    split tail "${address#*::}" || return 1
    ((${#head[@]} + ${#tail[@]} <= 7)) || return 1
    groups=("${head[@]}")
    for ((index = ${#head[@]} + ${#tail[@]}; index < 8; index++)); do
      groups+=(0)
    done
    groups+=("${tail[@]}")
  else
    split groups "${address}" || return 1
    ((${#groups[@]} == 8)) || return 1
  fi
  ((16#${groups[5]} == 16#ffff && !(16#${groups[0]} | 16#${groups[1]} | 16#${groups[2]} | \
    16#${groups[3]} | 16#${groups[4]}))) && return 1
  for index in "${!groups[@]}"; do
    bits=$((length - 16 * index)) # of the prefix that lie in this group
    ((bits < 16)) || continue
    ((bits > 0)) || bits=0
    ((16#${groups[index]} & ((1 << (16 - bits)) - 1))) && return 1
  done
  return 0
}

# split <array> <text>: the groups of an IPv6 address; empty text has none.
split() {
  local -n into=$1
  [[ -n $2 ]] || return 0
  [[ $2 =~ ^[0-9a-f]{1,4}(:[0-9a-f]{1,4})*$ ]] || return 1
  IFS=: read -ra into <<<"$2"
}

# is_network <text>: succeeds for an address or a network, as the operator writes them.
is_network() {
  local address=${1%%/*} length
  if [[ $1 == */* ]]; then
    length=${1#*/}
    [[ ${length} =~ ^[1-9][0-9]{0,2}$ ]] || return 1
  elif [[ ${address} == *:* ]]; then
    length=128
  else
    length=32
  fi
  is_ipv4 "${address}" "${length}" || is_ipv6 "${address}" "${length}"
}

# parse_networks <array> <text>: networks separated by single spaces. On failure `reason` says
# what is wrong.
parse_networks() {
  local -n found=$1
  local network
  read -ra found <<<"$2"
  if [[ "${found[*]-}" != "$2" ]]; then
    reason='networks must be separated by single spaces'
    return 1
  fi
  for network in "${found[@]}"; do
    is_network "${network}" && continue
    network=${network:0:60}
    reason="${network@Q} is not an acceptable network"
    return 1
  done
}
