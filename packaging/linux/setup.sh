#!/bin/sh
# Installs CLIP Atelier from the unpacked .run file. As root into /opt for everybody, else into the user's own folders.
#   sh clip-atelier-VERSION.run                          install
#   sh clip-atelier-VERSION.run -- --prefix "DIR"        install into DIR
# Needs no network, no Python and no further package. Undo with DIR/uninstall.sh; the user's work stays.
set -eu
# The archive is unpacked for its owner alone; the program is for everybody who may use the folder.
umask 022

korean() { case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in ko*) return 0 ;; *) return 1 ;; esac; }
say() { if korean; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi; }
fail() { say "$1" "$2" >&2; exit 1; }

prefix=
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix) [ $# -gt 1 ] || fail "--prefix needs a folder." "--prefix 다음에 폴더를 적어 주세요."; prefix=$2; shift 2 ;;
        --prefix=*) prefix=${1#--prefix=}; shift ;;
        *) fail "Unknown option: $1. The only one is --prefix DIR." "알 수 없는 옵션: $1. 쓸 수 있는 옵션은 --prefix DIR뿐입니다." ;;
    esac
done

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
[ "$(uname -m)" = x86_64 ] || fail "This build is for 64-bit PCs (x86_64); this machine is $(uname -m)." \
    "이 설치 파일은 64비트 PC(x86_64)용입니다. 이 컴퓨터는 $(uname -m)입니다."
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //')
case "$glibc" in
    '' | 1.* | 2.[0-9] | 2.[0-2][0-9] | 2.3[0-5] | 2.[0-9].* | 2.[0-2][0-9].* | 2.3[0-5].*)
        fail "CLIP Atelier needs glibc 2.36 or newer (Debian 12, Ubuntu 23.04, Fedora 37); found: ${glibc:-none}." \
            "CLIP Atelier에는 glibc 2.36 이상이 필요합니다(Debian 12, Ubuntu 23.04, Fedora 37). 현재: ${glibc:-없음}." ;;
esac

if [ "$(id -u)" = 0 ]; then
    : "${prefix:=/opt/clip-atelier}"
    bin=/usr/local/bin share=/usr/local/share
else
    : "${prefix:=$HOME/.local/opt/clip-atelier}"
    bin=$HOME/.local/bin share=${XDG_DATA_HOME:-$HOME/.local/share}
fi
case "$prefix" in /*) ;; *) prefix=$(pwd)/$prefix ;; esac
if [ -e "$prefix" ] && [ ! -x "$prefix/uninstall.sh" ] && [ -n "$(ls -A "$prefix" 2>/dev/null)" ]; then
    fail "$prefix exists and is not an installation of CLIP Atelier. Choose another folder with --prefix." \
        "$prefix 폴더가 이미 있고 CLIP Atelier가 설치된 곳이 아닙니다. --prefix로 다른 폴더를 골라 주세요."
fi

# The new program is complete before the old one goes.
mkdir -p "$(dirname -- "$prefix")" || fail "Cannot write to $(dirname -- "$prefix")." "$(dirname -- "$prefix")에 쓸 수 없습니다."
rm -rf "$prefix.new"
cp -R "$here/clip-atelier" "$prefix.new" || { rm -rf "$prefix.new"; fail "There is not enough room for $prefix (about 1 GB)." \
    "$prefix에 빈 공간이 모자랍니다(약 1 GB 필요)."; }
chmod -R u+rwX,go+rX,go-w "$prefix.new"
rm -rf "$prefix"
mv "$prefix.new" "$prefix"

mkdir -p "$bin" "$share/applications" "$share/icons/hicolor/scalable/apps" "$share/icons/hicolor/256x256/apps" "$share/mime/packages"
ln -sf "$prefix/clip-atelier" "$bin/clip-atelier"
# In a desktop entry a path with spaces stands in quotes, where these four characters carry a backslash; % is doubled.
quoted=$(printf '%s' "$prefix/clip-atelier" | sed 's/[\\"`$]/\\\\&/g; s/%/%%/g')
{
    grep -v -e '^Exec=' -e '^TryExec=' "$here/desktop/clip-atelier.desktop"
    printf 'Exec="%s" %%f\n' "$quoted"
} > "$share/applications/clip-atelier.desktop"
cp "$here/desktop/clip-atelier.svg" "$share/icons/hicolor/scalable/apps/clip-atelier.svg"
cp "$here/desktop/clip-atelier.png" "$share/icons/hicolor/256x256/apps/clip-atelier.png"
cp "$here/desktop/clip-atelier.xml" "$share/mime/packages/clip-atelier.xml"

quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }
{
    printf '#!/bin/sh\n# Removes CLIP Atelier. The work of its users stays.\nset -eu\n'
    printf 'prefix=%s\nbin=%s\nshare=%s\n' "$(quote "$prefix")" "$(quote "$bin")" "$(quote "$share")"
    cat "$here/uninstall.part"
} > "$prefix/uninstall.sh"
chmod 755 "$prefix/uninstall.sh"
sh "$here/refresh.sh" "$share"

say "CLIP Atelier is installed in $prefix." "CLIP Atelier를 $prefix에 설치했습니다."
say "Start it from the menu, or with: $bin/clip-atelier" "메뉴에서, 또는 다음 명령으로 시작하세요: $bin/clip-atelier"
say "Remove it with: sh \"$prefix/uninstall.sh\"" "지우려면: sh \"$prefix/uninstall.sh\""
