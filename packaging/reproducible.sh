#!/usr/bin/env bash
# Makes the packages of the last commit twice, in two clones with different paths and umasks, and compares what a release hands out.
# COLD=1 gives the second an empty build cache, so that all is compiled again, which takes long.
set -euo pipefail
repository=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
sums() (
	shopt -s nullglob
	cd "$1/dist"
	{ printf '%s\n' *.tar.gz *.zip *.deb *.rpm *.tgz *.sbom.json checksums.txt homebrew/Casks/*; find image -type f; } | sort | xargs sha256sum
)

make_in() { # folder, umask
	git clone -q "$repository" "$1"
	mkdir -p "$1/runs" && ln -s "$repository/runs/tools" "$1/runs/tools"
	(cd "$1" && umask "$2" && touch runs/tools/ready && make -s snapshot image >&2 && if [ -x runs/tools/helm ]; then make -s chart >&2; fi)
}

make_in "$work/one" 022
if [ -n "${COLD:-}" ]; then export GOCACHE="$work/cache"; fi
make_in "$work/another/folder" 002
sums "$work/one" >"$work/sums"
diff "$work/sums" <(sums "$work/another/folder") || { echo "reproducible: the second differs from the first" >&2; exit 1; }
echo "reproducible: $(wc -l <"$work/sums") files are the same"
