package serve

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

const (
	maxKeysFile = 1 << 20
	minKey      = 8 // bytes
)

// KeysEnv is the variable of the environment with keys, for containers.
const KeysEnv = "UNIMO_KEYS"

// keys are digests of the keys that requests may have.
type keys [][sha256.Size]byte

// readKeys reads a file with a key in each line. Empty lines, and those that begin with #, do not count.
func readKeys(path string) (keys, error) {
	raw, err := infile.Read(path, maxKeysFile)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	list, err := parseKeys(raw)
	if err != nil {
		return nil, fmt.Errorf("read keys: %s: %w", path, err)
	}
	return list, nil
}

func parseKeys(raw []byte) (list keys, err error) {
	lines := bufio.NewScanner(bytes.NewReader(infile.TrimMark(raw)))
	lines.Buffer(nil, maxKeysFile+1)
	for n := 1; lines.Scan(); n++ {
		key := strings.TrimSpace(lines.Text())
		switch {
		case key == "" || key[0] == '#':
			continue
		case len(key) < minKey:
			return nil, fmt.Errorf("line %d: the key has %d bytes; want %d or more, as from \"openssl rand -hex 32\"", n, len(key), minKey)
		case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
			return nil, fmt.Errorf("line %d: a key is of letters, digits and signs, without spaces; one a line", n)
		}
		list = append(list, sha256.Sum256([]byte(key)))
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("there is no key in it; write one, or leave the file out for a server without keys")
	}
	return list, nil
}

// has says whether a key is one of the file's. How long that takes tells nothing of the keys: digests are compared, all of them.
func (k keys) has(key string) bool {
	sum, found := sha256.Sum256([]byte(key)), 0
	for i := range k {
		found |= subtle.ConstantTimeCompare(sum[:], k[i][:])
	}
	return found == 1
}
