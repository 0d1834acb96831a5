// Package licences holds the licences of the program and of everything that it links, as the binary must be handed on with them.
package licences

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A Component is this program, Go, or a module that is linked.
type Component struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Files   []File `json:"files"`
}

// A File is a licence, or another text that goes with it.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// "make notices" writes it, with THIRD_PARTY_NOTICES. Compressed it is a thirteenth of 360 kB, which few ever read.
//
//go:embed licences.json.gz
var packed []byte

// All returns the licences: of the program first, then of Go, then of the modules.
func All() ([]Component, error) { return Unpack(packed) }

// Pack is what Unpack reads.
func Pack(list []Component) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		err = json.NewEncoder(w).Encode(list)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("pack the licences: %w", err)
	}
	return b.Bytes(), nil
}

// Unpack reads what Pack has made.
func Unpack(raw []byte) ([]Component, error) {
	r, err := gzip.NewReader(bytes.NewReader(raw))
	var text []byte
	if err == nil {
		text, err = io.ReadAll(r) // to the checksum
	}
	var list []Component
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("unpack the licences: %w", err)
	}
	return list, nil
}

// Write writes the licences for people to read.
func Write(w io.Writer, list []Component) error {
	for _, c := range list {
		if _, err := fmt.Fprintf(w, "\n%s\n%s\n%[1]s\n", strings.Repeat("=", 80), strings.TrimSpace(c.Name+" "+c.Version)); err != nil {
			return err
		}
		for _, f := range c.Files {
			if _, err := fmt.Fprintf(w, "\n--- %s\n\n%s\n", f.Name, f.Text); err != nil {
				return err
			}
		}
	}
	return nil
}
