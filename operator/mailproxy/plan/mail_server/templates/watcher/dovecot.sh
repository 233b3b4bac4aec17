
# ===== Dovecot =====

# tell_dovecot: brings its file, and Dovecot itself, to what the mount says
tell_dovecot() {
  local complaint=''
  if [[ ${copy} != "${text}" ]]; then
    if ! write_file "${COPY}" "${text}"; then
      complaint="${COPY} cannot be written"
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
  report
}

# report [<words>]: the log's one line for a change
report() {
  local words=${news}${1:+${news:+; }$1}
  [[ -z ${news}${postponed} || -z ${words} ]] || log "${words}"
  news='' postponed=''
}

postpone_dovecot() {
  report
  postponed=yes
  say dovecot "Dovecot keeps its old list: ${complaint}"
  dovecot_retry=$((ticks + PATIENCE))
}

can_read_configuration() {
  local said status=0
  said=$(timeout 20 doveconf -n 2>&1) || status=$?
  [[ ! ${said} =~ (^|$'\n')base_dir\ =\ ([^$'\n']+) ]] || base_dir=${BASH_REMATCH[2]}
  [[ ${said} == *Fatal:* ]] && complaint=Fatal:${said#*Fatal:} complaint=${complaint%%$'\n'*}
  ((status == 0)) || complaint=${complaint:-doveconf fails}
  [[ -z ${complaint} ]]
}

# reload_dovecot: what doveadm says tells little. A Dovecot that has reloaded has made its sockets
# anew; if it has not, it gets its old file back.
reload_dovecot() {
  local looks=0 master='' old_auth=()
  find_auth
  : >"${STATE}/reloading"
  if complaint=$(timeout 20 doveadm reload 2>&1); then
    complaint='it has not reloaded, see its own log'
    until [[ ${base_dir}/config -nt ${STATE}/reloading ]]; do
      ((looks++ < RELOAD_LOOKS)) || break
      rest "${RELOAD_PAUSE}"
    done
    if ((looks <= RELOAD_LOOKS)); then
      keep_logins
      believed=${copy} must_reload=''
      say dovecot
      report 'Dovecot has reloaded'
      return
    fi
  elif [[ ${complaint} == *'is not running'* ]]; then
    dovecot_retry=$((ticks + 10))
    report
    return
  fi
  if [[ -n ${believed} ]]; then
    write_file "${COPY}" "${believed}" && copy=${believed} must_reload=''
  fi
  complaint=${complaint%%$'\n'*}
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

is_auth() {
  local line=''
  { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null
  [[ ${line} =~ ^[0-9]+\ \(auth\)\ [A-Z]\ ${master}\  ]]
}

# keep_logins: a client that has connected before a reload, and logs in after it, is checked by the
# old process and then not known to the new one that opens its mailbox. With the old one gone its
# login process asks the new one. Until then logins fail, so nothing else is looked at.
keep_logins() {
  local pid
  for pid in "${old_auth[@]}"; do
    is_auth "${pid}" && kill -TERM "${pid}" 2>/dev/null
  done
}
