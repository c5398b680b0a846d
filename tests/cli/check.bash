# Sourced by the scripts beside it: counts checks, works in a folder of its own, which is removed at the end.
exe=$(realpath "$1")
repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
model=$repository/models/fashion/fashion.onnx
picture=$repository/models/fashion/pictures/00000-9-ankle-boot.png
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
passed=0 failed=0

check() { # what, command...: the command succeeds
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $what"
    fi
}

# A failure has printed one line "crease: ...", short and without control characters.
one_line() {
    [ "$(wc -l <err.txt)" -eq 1 ] && [ "$(wc -c <err.txt)" -le 512 ] && grep -q '^crease: ' err.txt &&
        ! tr -d '\n' <err.txt | LC_ALL=C grep -q '[[:cntrl:]]'
}

expect() { # exit code, what, command...; leaves out.txt and err.txt
    local want=$1 what=$2 got
    shift 2
    "$@" >out.txt 2>err.txt
    got=$?
    if [ "$got" -eq "$want" ] && { [ "$want" -eq 0 ] || one_line; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $what: exit $got, expected $want; stderr: $(head -c 600 err.txt)"
    fi
}

says() { # word: the failure before names it
    check "'$1' in: $(cat err.txt)" grep -qF -- "$1" err.txt
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

# ---- protobuf by hand: bytes are kept as \xNN, so that strings of them have a length ----

text() {
    local out='' i
    for ((i = 0; i < ${#1}; i++)); do out+=$(printf '\\x%02x' "'${1:i:1}"); done
    printf '%s' "$out"
}
field() { # number, content: a length-delimited field
    local n=$((${#2} / 4))
    if [ $n -lt 128 ]; then
        printf '\\x%02x\\x%02x%s' $(($1 << 3 | 2)) $n "$2"
    else
        printf '\\x%02x\\x%02x\\x%02x%s' $(($1 << 3 | 2)) $((n & 127 | 128)) $((n >> 7)) "$2"
    fi
}
value_info() { # name: float32 [1]
    field 1 "$(text "$1")"
    field 2 "$(field 1 "\\x08\\x01$(field 2 "$(field 1 '\x08\x01')")")"
}
one_node_model() { # file, operator, node name, input name: an ONNX model of one node
    local node graph
    node=$(field 1 "$(text "$4")")$(field 2 "$(text y)")$(field 3 "$(text "$3")")$(field 4 "$(text "$2")")
    graph=$(field 1 "$node")$(field 2 "$(text g)")$(field 11 "$(value_info "$4")")$(field 12 "$(value_info y)")
    printf "\\x08\\x08$(field 8 '\x0a\x00\x10\x0d')$(field 7 "$graph")" >"$1"
}
