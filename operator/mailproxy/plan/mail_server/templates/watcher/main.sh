
# ===== The program =====

# apply: lets everyone know; whoever cannot take it over now is told later.
apply() {
  filter_ports
  [[ "${clients[*]-}" == "${old_clients[*]-}" && -f ${CLIENTS} ]] ||
    write_file "${CLIENTS}" "${clients[*]-}"$'\n'
  dovecot_retry=0
  tell_dovecot
  if write_jail_file; then
    due=yes fail2ban_retry=0
  fi
}

start() {
  local argument refusal
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
    believed=${copy}
  fi
  told=("${proxies[@]}" "${clients[@]}")
}

start "$@"
look
while [[ -z ${once} ]]; do
  rest "${PAUSE}"
  ((ticks += 1))
  look
  if [[ -n ${unfiltered} ]] && ((ticks >= filter_retry)); then
    filter_ports
  fi
  if [[ ${copy} != "${text}" || -n ${must_reload} ]] && ((ticks >= dovecot_retry)); then
    tell_dovecot
  fi
  if [[ -n ${due} ]] && ((ticks >= fail2ban_retry)); then
    tell_fail2ban
  fi
done
