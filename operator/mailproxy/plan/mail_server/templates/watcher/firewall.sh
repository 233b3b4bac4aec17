
# ===== Postfix's ports =====

# filter_ports: replaces our table as a whole, in one transaction. No other one is touched, and open
# connections go on.
filter_ports() {
  local rules='table inet mailproxy; delete table inet mailproxy;' said
  local network ipv4=() ipv6=()
  unfiltered=''
  can_filter || return 0
  if [[ -n ${firewall} ]]; then
    for network in "${proxies[@]}"; do
      if [[ ${network} == *:* ]]; then ipv6+=("${network}"); else ipv4+=("${network}"); fi
    done
    rules+="table inet mailproxy {
      set ipv4 { type ipv4_addr; flags interval; auto-merge; $(elements "${ipv4[@]}") }
      set ipv6 { type ipv6_addr; flags interval; auto-merge; $(elements "${ipv6[@]}") }
      chain input {
        type filter hook input priority filter; policy accept;
        tcp dport { ${firewall} } tcp flags & (fin | syn | rst | ack) == syn jump strangers
      }
      chain strangers {
        ip saddr @ipv4 accept
        ip6 saddr @ipv6 accept
        reject with tcp reset
      }
    }"
  fi
  if said=$(nft -f - 2>&1 <<<"${rules}"); then
    say firewall
  elif [[ -n ${firewall} ]]; then
    unfiltered=yes filter_retry=$((ticks + PATIENCE))
    say firewall "anyone who reaches Postfix's PROXY ports is believed: nft says ${said%%$'\n'*}"
  fi
}

elements() {
  local IFS=,
  (($# == 0)) || printf 'elements = { %s }' "$*"
}

# can_filter: whether the container may have a table of its own
can_filter() {
  local key value capabilities=0
  while read -r key value; do
    [[ ${key} != CapEff: ]] || capabilities=$((16#${value}))
  done </proc/self/status
  ((capabilities >> 12 & 1)) && type -P nft >/dev/null && return 0 # 12 is CAP_NET_ADMIN
  [[ -z ${firewall} ]] ||
    say firewall 'a NetworkPolicy alone guards the PROXY ports: no capability NET_ADMIN, or no nft'
  return 1
}
