#compdef PROGRAMS
# zsh completion for uphold: at each key, uphold itself is asked what may stand at the cursor.
_uphold() {
    local line name meaning more
    local -a found
    {
        IFS= read -r more
        while IFS= read -r line; do
            name=${line%%$'\t'*}
            meaning=${line#*$'\t'}
            name=${name//\\/\\\\}
            found+=("${name//:/\\:}${meaning:+:$meaning}")
        done
    } < <(command uphold completions for zsh "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#found )) && _describe uphold found
    [[ $PREFIX == --*=* ]] && compset -P '*='
    case $more in
        directories) _directories ;;
        files) _files ;;
        users) _users ;;
        commands) _command_names -e ;;
    esac
    (( $compstate[nmatches] ))
}
if [[ $funcstack[1] == _uphold ]]; then
    _uphold "$@"
else
    compdef _uphold PROGRAMS
fi
