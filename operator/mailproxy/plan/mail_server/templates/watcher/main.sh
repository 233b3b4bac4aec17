
# ===== The program =====

# apply: updates all programs; what fails now is retried later.
apply() {
  update_firewall
  [[ "${clients[*]-}" == "${old_clients[*]-}" && -f ${CLIENTS} ]] ||
    write_file "${CLIENTS}" "${clients[*]-}"$'\n'
  dovecot_retry=0
  update_dovecot
  if write_jail_file; then
    fail2ban_pending=yes fail2ban_retry=0
  fi
}

start() {
  local argument reason
  for argument; do
    case ${argument} in
      --once) once=yes ;;
      --reload) reload=yes ;;
      --firewall=*) firewall=${argument#*=} ;;
    esac
  done
  mkdir -p "${STATE}"
  if read_folder "${STATE}"; then
    copy=${text}
  fi
  if [[ -s ${base_dir}/master.pid && ! ${base_dir}/config -nt ${COPY} ]]; then
    must_reload=yes
  else
    loaded=${copy}
  fi
  fail2ban_applied=("${proxies[@]}" "${clients[@]}")
}

start "$@"
poll
while [[ -z ${once} ]]; do
  sleep_without_fork "${POLL_SECONDS}"
  ((polls += 1))
  poll
  if [[ -n ${firewall_failed} ]] && ((polls >= firewall_retry)); then
    update_firewall
  fi
  if [[ ${copy} != "${text}" || -n ${must_reload} ]] && ((polls >= dovecot_retry)); then
    update_dovecot
  fi
  if [[ -n ${fail2ban_pending} ]] && ((polls >= fail2ban_retry)); then
    update_fail2ban
  fi
done
