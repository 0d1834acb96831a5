package fetch

import (
	"crypto/sha1" // git's
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

// Sum is what a content is wanted to have. Its zero value wants nothing.
type Sum struct {
	Algorithm string // SHA256 or Git
	Hex       string
	From      string // who says so, for messages
}

// Algorithms of sums. Git's is the SHA-1 of a header and the content: what names a small file in a repository.
const (
	SHA256 = "sha256"
	Git    = "git-sha1"
)

func (s Sum) String() string {
	if s.Hex == "" {
		return ""
	}
	return s.Algorithm + ":" + s.Hex
}

// SumError says that a content has another sum than is wanted. Nothing of it is kept.
type SumError struct{ What, Got, Want, From string }

func (e *SumError) Error() string {
	return fmt.Sprintf("%s: its %s, want %s (%s); nothing of it was kept", e.What, e.Got, e.Want, e.From)
}

// summing computes the SHA-256 of a content, and git's sum where that is wanted.
type summing struct {
	hash.Hash
	git hash.Hash
}

func newSumming(want Sum, size int64) *summing {
	s := &summing{Hash: sha256.New()}
	if want.Algorithm == Git {
		s.git = sha1.New()
		fmt.Fprintf(s.git, "blob %d\x00", size)
	}
	return s
}

func (s *summing) Write(p []byte) (int, error) {
	if s.git != nil {
		s.git.Write(p)
	}
	return s.Hash.Write(p)
}

// check compares with what is wanted, and returns the SHA-256.
func (s *summing) check(what string, want Sum) (string, error) {
	sha := hex.EncodeToString(s.Sum(nil))
	got := sha
	if s.git != nil {
		got = hex.EncodeToString(s.git.Sum(nil))
	}
	if want.Hex != "" && got != want.Hex {
		return sha, &SumError{what, want.Algorithm + " is " + got, want.Hex, want.From}
	}
	return sha, nil
}
