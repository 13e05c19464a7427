#!/bin/sh
# Checks the slices of CLIP Atelier's edition for NVIDIA cards, joins them and installs: sh @NAME@-setup.sh [--prefix DIR]
# All slices, @NAME@.slices and this script must lie in one folder. Nothing is unpacked before every slice is right.
set -eu

name=@NAME@
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
korean() { case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in ko*) return 0 ;; *) return 1 ;; esac; }
say() { if korean; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi; }

[ -f "$here/$name.slices" ] || {
    say "The list $name.slices is missing; it belongs beside this script." "$name.slices 목록이 없습니다. 이 스크립트와 같은 폴더에 두세요." >&2
    exit 1
}
count=$(grep -c . "$here/$name.slices")
number=0 bad=0
while read -r digest size slice; do
    number=$((number + 1))
    if [ ! -f "$here/$slice" ]; then
        say "Slice $number of $count is missing: $slice" "$count개 가운데 ${number}번째 조각이 없습니다: $slice" >&2
        bad=1
    elif [ "$(wc -c < "$here/$slice")" -ne "$size" ]; then
        say "Slice $number of $count is not complete: $slice" "$count개 가운데 ${number}번째 조각이 다 받아지지 않았습니다: $slice" >&2
        bad=1
    elif [ "$(sha256sum < "$here/$slice" | cut -d' ' -f1)" != "$digest" ]; then
        say "Slice $number of $count is damaged: $slice" "$count개 가운데 ${number}번째 조각이 손상되었습니다: $slice" >&2
        bad=1
    fi
done < "$here/$name.slices"
[ "$bad" = 0 ] || { say "Download what is named above again, then run this once more." "위의 조각을 다시 받은 뒤 다시 실행하세요." >&2; exit 1; }
say "All $count slices are right." "조각 $count개가 모두 맞습니다."

scratch=$(mktemp -d "${TMPDIR:-/tmp}/clip-atelier.XXXXXX")
trap 'rm -rf "$scratch"' EXIT INT TERM
cut -c67- "$here/$name.slices" | sed 's/^[0-9]*  //' | while read -r slice; do cat "$here/$slice"; done | tar -xzf - -C "$scratch"
sh "$scratch/setup.sh" "$@"
