#!/bin/sh
# empty-libraries.sh PLUGIN FOLDER: libraries with the names that a plugin for AMD's chips asks for, whose functions do nothing.
# With them it is loaded where there is no ROCm, and compiles, for which it calls none of them. It cannot run anything.
set -eu
plugin=$1 folder=$2
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
nm -D --undefined-only "$plugin" | awk '$1 == "U" {print $2}' | grep -vE '@(GLIBC|GLIBCXX|GCC|CXXABI)_' | sed 's/@.*//' | sort -u |
	while read -r name; do echo "long $name(void) { return 1; }"; done > "$work/functions.c"
: > "$work/nothing.c"
from=$work/functions.c
for library in $(readelf -d "$plugin" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'); do
	case $library in libc.* | libm.* | libdl.* | librt.* | libpthread.* | libstdc++.* | libgcc_s.* | ld-linux*) continue ;; esac
	cc -w -fno-builtin -shared -fPIC -Wl,-soname,"$library" -o "$folder/$library" "$from"
	from=$work/nothing.c
done
