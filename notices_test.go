package unimo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/licences"
)

var updateNotices = flag.Bool("update-notices", false, "write THIRD_PARTY_NOTICES and what the binary holds of it (make notices)")

const (
	noticesFile = "THIRD_PARTY_NOTICES"
	packedFile  = "internal/base/licences/licences.json.gz"
)

// platforms are those that releases are made for. A module may be linked on one of them alone.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

// THIRD_PARTY_NOTICES holds the licences of everything that the binaries link, unimo and unimo-mpi, on any platform. The binaries hold
// them, too, with the program's own.
func TestThirdPartyNotices(t *testing.T) {
	linked := linkedLicences(t)
	all := append([]licences.Component{{Name: "unimo", Files: []licences.File{licenceFile(t, ".", "LICENSE"), licenceFile(t, ".", "NOTICE")}}}, linked...)
	var want bytes.Buffer
	want.WriteString("Licences of what the program unimo links. Made by \"make notices\" from the modules' own files.\n")
	if err := licences.Write(&want, linked); err != nil {
		t.Fatal(err)
	}
	if *updateNotices {
		packed, err := licences.Pack(all)
		if err == nil {
			err = os.WriteFile(packedFile, packed, 0o644)
		}
		if err == nil {
			err = os.WriteFile(noticesFile, want.Bytes(), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(noticesFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not that of the modules in go.mod: run make notices", noticesFile)
	}
	packed, err := os.ReadFile(packedFile) // what is linked is older where it was just written
	if err != nil {
		t.Fatal(err)
	}
	if held, err := licences.Unpack(packed); err != nil || !reflect.DeepEqual(held, all) {
		t.Errorf("%s is not that of LICENSE, NOTICE and the modules in go.mod: run make notices (%v)", packedFile, err)
	}
}

// linkedModule is a module of which the binary has packages.
type linkedModule struct {
	Path, Version, Dir string
}

func linkedLicences(t *testing.T) []licences.Component {
	modules := map[string]linkedModule{}
	for _, platform := range platforms {
		goos, goarch, _ := strings.Cut(platform, "/")
		list := exec.Command("go", "list", "-tags", "mpi", "-deps", "-json=Module", "./cmd/unimo") // more than without the tag
		list.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
		list.Stderr = os.Stderr
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for dec := json.NewDecoder(bytes.NewReader(out)); ; {
			var p struct{ Module *linkedModule }
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if p.Module != nil && p.Module.Path != module {
				modules[p.Module.Path] = *p.Module
			}
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot := strings.TrimSpace(string(root))
	if _, err := os.Stat(filepath.Join(goroot, "LICENSE")); err != nil {
		t.Skipf("not run: this Go comes without its licence: %v", err)
	}
	list := []licences.Component{licencesOf(t, linkedModule{Path: "Go's runtime and standard library", Dir: goroot})}
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		list = append(list, licencesOf(t, modules[path]))
	}
	return list
}

// licenceName is what a module calls a file that must be handed on.
var licenceName = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying|notice|patents|ftl)`)

func licencesOf(t *testing.T, m linkedModule) licences.Component {
	c := licences.Component{Name: m.Path, Version: m.Version}
	for _, folder := range []string{".", "licenses"} {
		entries, err := os.ReadDir(filepath.Join(m.Dir, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !e.IsDir() && licenceName.MatchString(e.Name()) {
				c.Files = append(c.Files, licenceFile(t, m.Dir, path.Join(folder, e.Name())))
			}
		}
	}
	if c.Files == nil {
		t.Errorf("%s has no licence file", m.Path)
	}
	return c
}

func licenceFile(t *testing.T, dir, name string) licences.File {
	raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if !utf8.Valid(raw) { // one is in Latin-1, whose bytes are the characters' numbers
		runes := make([]rune, len(raw))
		for i, b := range raw {
			runes[i] = rune(b)
		}
		text = string(runes)
	}
	return licences.File{Name: name, Text: strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))}
}
