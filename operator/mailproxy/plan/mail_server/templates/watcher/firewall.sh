
# ===== Postfix's ports =====

# update_firewall: replaces our table as a whole, in one transaction. Other tables are not touched,
# and established connections continue.
update_firewall() {
  local rules='table inet mailproxy; delete table inet mailproxy;' output
  local network ipv4=() ipv6=()
  firewall_failed=''
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
        tcp dport { ${firewall} } tcp flags & (fin | syn | rst | ack) == syn jump check_source
      }
      chain check_source {
        ip saddr @ipv4 accept
        ip6 saddr @ipv6 accept
        reject with tcp reset
      }
    }"
  fi
  if output=$(nft -f - 2>&1 <<<"${rules}"); then
    warn_once firewall
  elif [[ -n ${firewall} ]]; then
    firewall_failed=yes firewall_retry=$((polls + RETRY_POLLS))
    warn_once firewall "Postfix's PROXY ports are open to everyone: nft says ${output%%$'\n'*}"
  fi
}

elements() {
  local IFS=,
  (($# == 0)) || printf 'elements = { %s }' "$*"
}

# can_filter: succeeds if the container may have a table of its own
can_filter() {
  local key value capabilities=0
  while read -r key value; do
    [[ ${key} != CapEff: ]] || capabilities=$((16#${value}))
  done </proc/self/status
  ((capabilities >> 12 & 1)) && type -P nft >/dev/null && return 0 # 12 is CAP_NET_ADMIN
  [[ -z ${firewall} ]] ||
    warn_once firewall \
      'only a NetworkPolicy protects the PROXY ports: no capability NET_ADMIN, or no nft'
  return 1
}
