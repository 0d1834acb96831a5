package unimo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateNotices = flag.Bool("update-notices", false, "write THIRD_PARTY_NOTICES (make notices)")

const noticesFile = "THIRD_PARTY_NOTICES"

// platforms are those that releases are made for. A module may be linked on one of them alone.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

// THIRD_PARTY_NOTICES holds the licences of everything that the binaries link, unimo and unimo-mpi, on any platform.
func TestThirdPartyNotices(t *testing.T) {
	want := thirdPartyNotices(t)
	if *updateNotices {
		if err := os.WriteFile(noticesFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(noticesFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not that of the modules in go.mod: run make notices", noticesFile)
	}
}

// linkedModule is a module of which the binary has packages.
type linkedModule struct {
	Path, Version, Dir string
}

func thirdPartyNotices(t *testing.T) []byte {
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
	var b bytes.Buffer
	b.WriteString("Licences of what the program unimo links. Made by \"make notices\" from the modules' own files.\n")
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot := strings.TrimSpace(string(root))
	if _, err := os.Stat(filepath.Join(goroot, "LICENSE")); err != nil {
		t.Skipf("not run: this Go comes without its licence: %v", err)
	}
	writeNotice(t, &b, linkedModule{Path: "Go's runtime and standard library", Dir: goroot})
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		writeNotice(t, &b, modules[path])
	}
	return b.Bytes()
}

// licenceName is what a module calls a file that must be handed on.
var licenceName = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying|notice|patents|ftl)`)

func writeNotice(t *testing.T, b *bytes.Buffer, m linkedModule) {
	fmt.Fprintf(b, "\n%s\n%s\n%[1]s\n", strings.Repeat("=", 80), strings.TrimSpace(m.Path+" "+m.Version))
	found := false
	for _, dir := range []string{m.Dir, filepath.Join(m.Dir, "licenses")} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() || !licenceName.MatchString(e.Name()) {
				continue
			}
			raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			name, _ := filepath.Rel(m.Dir, filepath.Join(dir, e.Name()))
			text := bytes.TrimSpace(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")))
			fmt.Fprintf(b, "\n--- %s\n\n%s\n", filepath.ToSlash(name), text)
			found = true
		}
	}
	if !found {
		t.Errorf("%s has no licence file", m.Path)
	}
}
