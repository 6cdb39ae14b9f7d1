# bash completion for uphold: at each key, uphold itself is asked what may stand at the cursor.
_uphold()
{
    local rest=${COMP_LINE:0:COMP_POINT} words=() word more breaks cut
    # bash also cuts words at @, : and =. What stands together is one word.
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if ((${#words[@]})) && [[ $rest != [[:space:]]* ]]; then
            words[${#words[@]}-1]+=${word:0:${#rest}}
        else
            rest=${rest#"${rest%%[![:space:]]*}"}
            words+=("${word:0:${#rest}}")
        fi
        rest=${rest#"$word"}
    done
    word=${words[${#words[@]}-1]}
    COMPREPLY=()
    {
        IFS= read -r more
        while IFS= read -r cut; do COMPREPLY+=("$cut"); done
    } < <(command uphold completions for bash "${words[@]}" 2>/dev/null)
    # Only what stands behind the last cut is replaced.
    breaks=${COMP_WORDBREAKS//[!@:=]/}
    if [[ $breaks && $word == *[$breaks]* ]]; then
        cut=${word%"${word##*[$breaks]}"}
        COMPREPLY=("${COMPREPLY[@]#"$cut"}")
        word=${word#"$cut"}
    fi
    case $more in
        directories) compopt -o plusdirs ;;
        files) compopt -o default -o bashdefault ;;
        users) while IFS= read -r cut; do COMPREPLY+=("$cut"); done < <(compgen -u -- "$word") ;;
        commands) while IFS= read -r cut; do COMPREPLY+=("$cut"); done < <(compgen -c -- "$word") ;;
    esac 2>/dev/null
    return 0
}
complete -F _uphold PROGRAMS
