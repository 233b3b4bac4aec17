
# ===== Fail2ban =====

# read_own_ignores: reads the `ignoreip` of others into `own_ignores`, by section, as Fail2ban reads
# its files: the last value of a section wins, and `%(known/ignoreip)s` in it is the value before.
# (Our own file cannot use that: in [DEFAULT] it keeps Fail2ban from starting.)
read_own_ignores() {
  local file line section continues known
  own_ignores=([DEFAULT]='')
  for file in "${FAIL2BAN}"/{jail.conf,jail.d/*.conf,jail.local,jail.d/*.local}; do
    [[ -f ${file} && ${file} != "${JAIL_FILE}" ]] || continue
    section='' continues=''
    while IFS= read -r line || [[ -n ${line} ]]; do
      line=${line%%[[:blank:]];*}
      if [[ ${line} =~ ^[[:blank:]]*([#\;]|$) ]]; then
        continue
      elif [[ ${line} =~ ^\[([^]]+)\] ]]; then
        section=${BASH_REMATCH[1]} continues=''
      elif [[ -n ${section} && ${line,,} =~ ^ignoreip[[:blank:]]*[=:] ]]; then
        known=${own_ignores[${section}]-${own_ignores[DEFAULT]}} continues=yes
        line=${line#*[=:]}
        own_ignores[${section}]=${line//"${KNOWN}"/"${known}"}
      elif [[ ${line} != [[:blank:]]* ]]; then
        continues=''
      elif [[ -n ${continues} ]]; then
        own_ignores[${section}]+=" ${line//"${KNOWN}"/"${known}"}"
      fi
    done <"${file}"
  done
}

# write_jail_file: adds our networks to every `ignoreip`. Fails if there is no Fail2ban or nothing
# to change.
write_jail_file() {
  local section words content before=''
  local -A own_ignores=()
  [[ -f ${FAIL2BAN}/jail.conf && -d ${FAIL2BAN}/jail.d ]] || return 1
  read_own_ignores
  content=$'# Written by mailproxy-watcher: proxies and internal clients beside other settings.\n'
  while IFS= read -r section; do
    read -ra words <<<"${own_ignores[${section}]} ${proxies[*]-} ${clients[*]-}"
    content+=$'\n'"[${section}]"$'\n'"ignoreip = ${words[*]-}"$'\n'
  done < <(printf '%s\n' "${!own_ignores[@]}" | sort)
  [[ ! -f ${JAIL_FILE} ]] || IFS= read -r -d '' before <"${JAIL_FILE}" || true
  [[ ${content} != "${before}" ]] && write_file "${JAIL_FILE}" "${content}"
}

# update_fail2ban: a running one reads its files only when told to. What others have set stays.
update_fail2ban() {
  local jails jail word commands='' ours=("${proxies[@]}" "${clients[@]}")
  local words=() added=() gone=() removed=()
  local -A own_ignores=()
  if [[ ! -s ${FAIL2BAN_PID} ]]; then
    fail2ban_retry=$((polls + 50)) # one that is starting may have read the old file
    return 0
  fi
  fail2ban_retry=$((polls + RETRY_POLLS))
  jails=$(timeout 20 fail2ban-client status 2>/dev/null) || return 0
  [[ ${jails} == *'Jail list:'* ]] || return 0
  jails=${jails#*Jail list:}
  subtract added ours fail2ban_applied
  subtract gone fail2ban_applied ours
  read_own_ignores
  read -ra words <<<"${own_ignores[*]//,/ }"
  subtract removed gone words
  for jail in ${jails//,/ }; do
    ((${#added[@]} == 0)) || commands+="set ${jail} addignoreip ${added[*]}"$'\n'
    for word in "${removed[@]}"; do
      commands+="set ${jail} delignoreip ${word}"$'\n'
    done
  done
  for word in "${added[@]}"; do # an address may have been banned while another pod had it
    [[ ${word} == */* ]] || commands+="unban ${word}"$'\n'
  done
  timeout 60 fail2ban-client -i <<<"${commands%$'\n'}" >/dev/null 2>&1
  fail2ban_applied=("${ours[@]}") fail2ban_pending=''
}
