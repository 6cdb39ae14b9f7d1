# fish completion for uphold: at each key, uphold itself is asked what may stand at the cursor.
function __uphold_complete
    set -l typed (commandline -ct)
    set -l found (command uphold completions for fish (commandline -opc) "$typed" 2>/dev/null)
    set -l more $found[1]
    set -e found[1]
    for line in $found
        printf '%s\n' $line
    end
    switch "$more"
        case directories
            __fish_complete_directories "$typed"
        case files
            __fish_complete_path "$typed"
        case users
            __fish_complete_users
        case commands
            __fish_complete_command
    end
end
for program in PROGRAMS
    complete -c $program -f -a '(__uphold_complete)'
end
