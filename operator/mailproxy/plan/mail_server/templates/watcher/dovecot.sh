
# ===== Dovecot =====

# update_dovecot: brings its file, and Dovecot itself, to what the mount says
update_dovecot() {
  local error=''
  if [[ ${copy} != "${text}" ]]; then
    if ! write_file "${COPY}" "${text}"; then
      error="${COPY} cannot be written"
      postpone_dovecot
      return 0
    elif [[ -z ${once} ]] && ! can_read_configuration; then
      write_file "${COPY}" "${copy}"
      postpone_dovecot
      return 0
    fi
    copy=${text} must_reload=yes
  fi
  if [[ -z ${reload} || -n ${once} ]]; then
    must_reload=''
  elif [[ -n ${must_reload} && -s ${base_dir}/master.pid ]]; then
    reload_dovecot
    return 0
  fi
  log_change
}

# log_change [<result>]: logs the one line for a change
log_change() {
  local line=${pending_log}${1:+${pending_log:+; }$1}
  [[ -z ${pending_log}${postponed} || -z ${line} ]] || log "${line}"
  pending_log='' postponed=''
}

postpone_dovecot() {
  log_change
  postponed=yes
  warn_once dovecot "Dovecot keeps its old list: ${error}"
  dovecot_retry=$((polls + RETRY_POLLS))
}

can_read_configuration() {
  local output status=0
  output=$(timeout 20 doveconf -n 2>&1) || status=$?
  [[ ! ${output} =~ (^|$'\n')base_dir\ =\ ([^$'\n']+) ]] || base_dir=${BASH_REMATCH[2]}
  [[ ${output} == *Fatal:* ]] && error=Fatal:${output#*Fatal:} error=${error%%$'\n'*}
  ((status == 0)) || error=${error:-doveconf fails}
  [[ -z ${error} ]]
}

# reload_dovecot: the exit status of doveadm says little. Dovecot creates its sockets anew when it
# reloads; if it does not, it gets its old file back.
reload_dovecot() {
  local count=0 master='' old_auth=()
  find_auth
  : >"${STATE}/reloading"
  if error=$(timeout 20 doveadm reload 2>&1); then
    error='it has not reloaded, see its own log'
    until [[ ${base_dir}/config -nt ${STATE}/reloading ]]; do
      ((count++ < RELOAD_POLLS)) || break
      sleep_without_fork "${RELOAD_POLL_SECONDS}"
    done
    if ((count <= RELOAD_POLLS)); then
      stop_old_auth
      loaded=${copy} must_reload=''
      warn_once dovecot
      log_change 'Dovecot has reloaded'
      return
    fi
  elif [[ ${error} == *'is not running'* ]]; then
    dovecot_retry=$((polls + 10))
    log_change
    return
  fi
  if [[ -n ${loaded} ]]; then
    write_file "${COPY}" "${loaded}" && copy=${loaded} must_reload=''
  fi
  error=${error%%$'\n'*}
  postpone_dovecot
}

# find_auth: sets `old_auth`, Dovecot's processes that check passwords, and `master`, their parent
find_auth() {
  local folder
  { IFS= read -r master <"${base_dir}/master.pid"; } 2>/dev/null
  [[ ${master} =~ ^[0-9]+$ ]] || return 0
  for folder in /proc/[0-9]*; do
    is_auth "${folder#/proc/}" && old_auth+=("${folder#/proc/}")
  done
}

# is_auth <pid>: succeeds for a process that has not ended; a zombie (Z) has
is_auth() {
  local line=''
  { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null
  [[ ${line} =~ ^[0-9]+\ \(auth\)\ [A-Y]\ ${master}\  ]]
}

# stop_old_auth: the login process of a client that connected before the reload asks the old auth
# process, but the process that opens the mailbox asks the new one, which does not know the login.
# With the old one gone the login process asks the new one. Logins fail until then, so this comes
# first, and the log's line after it.
stop_old_auth() {
  local pid count=0
  for pid in "${old_auth[@]}"; do
    is_auth "${pid}" && kill -TERM "${pid}" 2>/dev/null
  done
  for pid in "${old_auth[@]}"; do
    while is_auth "${pid}" && ((count++ < RELOAD_POLLS)); do
      sleep_without_fork "${RELOAD_POLL_SECONDS}"
    done
  done
}
