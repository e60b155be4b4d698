#!/usr/bin/env bash
# What a careful administrator would write: one snapshot of every server whose name begins with PREFIX, and the KEEP newest of ours stay.
# From cron, with the token in a file that only root can read:
#   15 3 * * * root API=https://admin.vps.org/api/v1 TOKEN_FILE=/etc/snapshots.token PREFIX=srv- KEEP=4 /usr/local/sbin/snapshots.sh
#
# Lists the account once a poll, whatever the number of servers; sends nothing twice; deletes only what carries its own name, only after the new one is
# complete, and never the newest. A snapshot of today that is there already counts.
set -euo pipefail

: "${API:?}" "${TOKEN_FILE:?}" "${PREFIX:?}"
readonly KEEP=${KEEP:-4} POLL=${POLL:-15} PATIENCE=${PATIENCE:-3600} AT_A_TIME=${AT_A_TIME:-4} OURS=nightly
readonly LOCK=${LOCK:-/run/lock/snapshots.lock}
TODAY="$OURS-$(date -u +%Y%m%d)"
readonly TODAY

exec 9>"$LOCK"
flock -n 9 || { echo "another one is running" >&2; exit 75; }
WORK=$(mktemp -d)
readonly WORK
trap 'rm -rf "$WORK"' EXIT

# The token is in a file of curl's own, not on a command line, where everyone could read it.
(umask 077 && printf 'header = "Authorization: Bearer %s"\nfail-with-body\nsilent\nshow-error\nmax-time = 30\n' "$(<"$TOKEN_FILE")" >"$WORK/curl")
export API WORK TODAY

list() {
    curl -K "$WORK/curl" "$API/snapshots/" >"$WORK/listing"
    # Half a list must not lead to deletes.
    jq -e '.count == (.results | length)' "$WORK/listing" >/dev/null || { echo "the listing is not whole" >&2; return 1; }
}

create() {
    jq -nc --argjson server "$1" --arg name "$TODAY" '{server_id: $server, name: $name}' |
        curl -K "$WORK/curl" -H 'Content-Type: application/json' --data-binary @- -o /dev/null "$API/snapshots/" ||
        { echo "server $1: no snapshot was ordered" >&2; return 1; }
}

delete() {
    curl -K "$WORK/curl" -X DELETE -o /dev/null "$API/snapshots/$1/" || { echo "snapshot $1 was not deleted" >&2; return 1; }
}
export -f create delete

curl -K "$WORK/curl" "$API/servers/" |
    jq -r --arg prefix "$PREFIX" '.results[] | select(.name | startswith($prefix)) | .id' | sort >"$WORK/servers"
list
jq -r --arg name "$TODAY" '.results[] | select(.name == $name) | .server.id' "$WORK/listing" | sort -u >"$WORK/done"
failed=0
comm -23 "$WORK/servers" "$WORK/done" | xargs -r -P "$AT_A_TIME" -I{} bash -c 'create "$1"' _ {} || failed=1

deadline=$((SECONDS + PATIENCE))
while list; jq -e --arg name "$TODAY" 'any(.results[]; .name == $name and .status == "in_progress")' "$WORK/listing" >/dev/null; do
    ((SECONDS < deadline)) || { echo "not everything was completed in time" >&2; failed=1; break; }
    sleep "$POLL"
done

# Of each server whose snapshot of today is complete, ours beyond the newest KEEP.
jq -r --arg ours "$OURS-" --arg name "$TODAY" --argjson keep "$KEEP" '
    [.results[] | select((.name | startswith($ours)) and .status == "completed")] | group_by(.server.id)[]
    | select(any(.[]; .name == $name)) | sort_by(.created_at, .id) | .[:-$keep][] | .id' "$WORK/listing" |
    xargs -r -P "$AT_A_TIME" -I{} bash -c 'delete "$1"' _ {} || failed=1
exit "$failed"
