package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// LockFile is the name of the file in our own cache that says what files without a published sum were when they were first seen, and
// which licences were accepted.
const LockFile = "unimo.lock"

// Pins are what the lock file has.
type Pins struct {
	Version  int               `json:"version"`
	Files    map[string]Pin    `json:"files"`              // by address
	Licences map[string]string `json:"licences,omitempty"` // that were accepted, by the model's name
}

// Pin is what a file was when it was first seen.
type Pin struct {
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Seen   string `json:"seen"` // the day
}

const (
	pinsVersion = 1
	maxPins     = 16 << 20
)

// Pins reads the lock file. One that is not there has nothing.
func (c Cache) Pins() (*Pins, error) {
	path := filepath.Join(c.Own, LockFile)
	raw, err := infile.Read(path, maxPins)
	if errors.Is(err, fs.ErrNotExist) {
		return &Pins{Version: pinsVersion, Files: map[string]Pin{}, Licences: map[string]string{}}, nil
	}
	if err != nil {
		return nil, err
	}
	return readPins(path, raw)
}

func readPins(path string, raw []byte) (*Pins, error) {
	wrong := func(problem string) error {
		return &infile.Error{File: path, Problem: problem, Remedy: "correct it, or remove it: then files are trusted anew when they are first seen"}
	}
	var p Pins
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		problem, _ := infile.ExplainJSON(err)
		return nil, wrong(problem)
	}
	if dec.More() {
		return nil, wrong("something follows the object")
	}
	if p.Version != pinsVersion {
		return nil, wrong(fmt.Sprintf("is of version %d; this program reads %d", p.Version, pinsVersion))
	}
	for address, pin := range p.Files {
		if !hexDigest.MatchString(pin.SHA256) || pin.Bytes < 0 {
			return nil, wrong(fmt.Sprintf("the pin of %q has no SHA-256", address))
		}
	}
	if p.Files == nil {
		p.Files = map[string]Pin{}
	}
	if p.Licences == nil {
		p.Licences = map[string]string{}
	}
	return &p, nil
}

// Pin changes the lock file, which no other process changes meanwhile.
func (c Cache) Pin(change func(*Pins)) error {
	own := filepath.Join(c.Own, ".locks", LockFile)
	lock, err := atomicfile.Own(own)
	for held := (*atomicfile.LockedError)(nil); errors.As(err, &held); { // for a moment
		time.Sleep(10 * time.Millisecond)
		lock, err = atomicfile.Own(own)
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	p, err := c.Pins()
	if err != nil {
		return err
	}
	change(p)
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(c.Own, LockFile), append(raw, '\n'))
}
