# What the tasks of a drawn project do, with builtins of bash alone (but `mkdir`): a task costs one process.
# D is what it has seen, names and all; C is only the contents. `program.rs` computes the same in Rust.
LC_ALL=C
shopt -s dotglob nullglob
D= C= S=
# begin LABEL: one line in the log for each execution, then what this history wants to happen in the midst of it.
begin() {
    printf '%s\n' "$1" >>"$HOME/log"
    if [[ -e $HOME/hooks/$1 ]]; then . "$HOME/hooks/$1"; fi
}
slurp() { IFS= read -r -d '' S <"$1" || :; }
walk() {
    local f n
    for f in "$1"/*; do
        n=$2${f##*/}
        if [[ -d $f ]]; then
            D+="<$n/>"
            walk "$f" "$n/"
        else
            slurp "$f"
            if [[ -x $f ]]; then D+="<$n*:$S>"; else D+="<$n:$S>"; fi
            C+=$S
        fi
    done
}
take() {
    local v=INPUT_${1^^}
    if [[ ! -v $v ]]; then
        D+="($1 absent)"
    elif [[ -d ${!v} ]]; then
        D+="($1/"
        walk "${!v}" ""
        D+=")"
    else
        slurp "${!v}"
        if [[ -x ${!v} ]]; then D+="($1*:$S)"; else D+="($1:$S)"; fi
        C+=$S
    fi
}
mix() {
    D+="[$1=$2]"
    C+=$2
}
weather() {
    slurp "$HOME/weather"
    mix weather "$S"
}
put() {
    local v=OUTPUT_${1^^} l n list= object= folders
    local o=${!v}
    for l in a b c; do
        n=${C//[^$l]/}
        if [[ -n $n ]]; then
            list+=",\"$l\""
            object+=",\"$l\":${#n}"
        fi
    done
    case $2 in
    concat) if ((${#D} > 2000)); then printf '%s' "#${#D}" >"$o"; else printf '%s' "$D" >"$o"; fi ;;
    first) printf '%s' "${C:0:1}" >"$o" ;;
    count) printf '%s' "${#C}" >"$o" ;;
    list) printf '[%s]' "${list:1}" >"$o" ;;
    object) printf '{%s}' "${object:1}" >"$o" ;;
    split)
        folders=("$o")
        if [[ $C == *a* ]]; then folders+=("$o/sub"); fi
        if [[ $C == *c* ]]; then folders+=("$o/void"); fi
        mkdir "${folders[@]}"
        for l in a b c; do
            n=${C//[^$l]/}
            if [[ -n $n ]]; then printf '%s' "${#n}" >"$o/$l"; fi
        done
        if [[ $C == *a* ]]; then printf '%s' "${C:0:1}" >"$o/sub/first"; fi
        ;;
    esac
}
# After the outputs are written: those of a task that fails must never be used.
fail_if_marked() { if [[ $C == *!* ]]; then exit 1; fi; }
