// Package packaging tests what a release hands out: "make packages" builds it first, in dist.
package packaging

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// dist is where goreleaser has put the release.
func dist(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../dist")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "metadata.json")); err != nil {
		t.Skip("not run: no release in dist; run make snapshot")
	}
	return dir
}

func version(t *testing.T) string {
	t.Helper()
	var meta struct{ Version string }
	raw, err := os.ReadFile(filepath.Join(dist(t), "metadata.json"))
	if err == nil {
		err = json.Unmarshal(raw, &meta)
	}
	if err != nil {
		t.Fatal(err)
	}
	return meta.Version
}

// one is the only file of dist that the pattern matches.
func one(t *testing.T, pattern string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dist(t), pattern))
	if err != nil || len(list) != 1 {
		t.Fatalf("%s: %v %v", pattern, list, err)
	}
	return list[0]
}

// tool skips the test where a program is absent.
func tool(t *testing.T, name string) string {
	t.Helper()
	if own, err := filepath.Abs(filepath.Join("../runs/tools", name)); err == nil {
		if _, err := os.Stat(own); err == nil {
			return own
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("not run: no %s here", name)
	}
	return found
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// pages is how many manual pages there are, at the least: one for each command.
const pages = 60

// checkFiles says whether an archive or a package has all that belongs beside the binary, and nothing else. The names are without their folders.
func checkFiles(t *testing.T, where, binary string, names []string) {
	t.Helper()
	manual := 0
	for _, name := range names {
		if regexp.MustCompile(`^unimo.*\.1(\.gz)?$`).MatchString(name) {
			manual++
		}
	}
	if manual < pages || !slices.Contains(names, "unimo.1.gz") || !slices.Contains(names, "unimo-predict.1.gz") {
		t.Errorf("%s has %d manual pages", where, manual)
	}
	want := []string{binary, "LICENSE", "NOTICE", "THIRD_PARTY_NOTICES", "README.md", "CHANGELOG.md", "unimo.bash", "unimo.zsh", "unimo.fish", "unimo.powershell"}
	for _, name := range want {
		if !slices.Contains(names, name) {
			t.Errorf("%s has no %s: %v", where, name, names)
		}
	}
	if len(names) != manual+len(want) {
		t.Errorf("%s has other files: %v", where, names)
	}
}

func TestArchives(t *testing.T) {
	v := version(t)
	for _, goos := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			name, binary := fmt.Sprintf("unimo_%s_%s_%s.tar.gz", v, goos, arch), "unimo"
			if goos == "windows" {
				name, binary = strings.TrimSuffix(name, "tar.gz")+"zip", "unimo.exe"
			}
			checkArchive(t, name, binary, goos, arch)
			if goos == "linux" {
				checkArchive(t, fmt.Sprintf("unimo-mpi_%s_linux_%s.tar.gz", v, arch), "unimo-mpi", goos, arch)
			}
			if goos != "windows" {
				checkArchive(t, fmt.Sprintf("unimo-xla_%s_%s_%s.tar.gz", v, goos, arch), "unimo-xla", goos, arch)
			}
		}
	}
}

func checkArchive(t *testing.T, name, binary, goos, arch string) {
	raw, err := os.ReadFile(filepath.Join(dist(t), name))
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, name, raw)
	var names []string
	for file := range files {
		names = append(names, path.Base(file))
	}
	checkFiles(t, name, binary, names)
	checkBinary(t, name, files[binary], goos, arch)
	if goos != runtime.GOOS || arch != runtime.GOARCH || binary == "unimo-mpi" || binary == "unimo-xla" {
		return
	}
	program := filepath.Join(t.TempDir(), binary)
	if err := os.WriteFile(program, files[binary], 0o755); err != nil {
		t.Fatal(err)
	}
	var said struct {
		Version, Commit string
		Static          bool
	}
	if err := json.Unmarshal([]byte(command(t, program, "version", "--json")), &said); err != nil || said.Commit == "" || strings.Contains(said.Version, "dirty") || !said.Static {
		t.Errorf("%s: %v %+v", name, err, said)
	}
	if notices := string(files["THIRD_PARTY_NOTICES"]); !strings.Contains(command(t, program, "version", "--licences"), notices[strings.Index(notices, "===="):]) {
		t.Errorf("%s: the binary prints other licences than THIRD_PARTY_NOTICES", name)
	}
}

// unpack returns the contents of an archive, and checks what else is said of its files.
func unpack(t *testing.T, name string, raw []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	add := func(file string, mode fs.FileMode, r io.Reader) {
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %s: %v", name, file, err)
		}
		want := fs.FileMode(0o644)
		if base := path.Base(file); base == "unimo" || base == "unimo-mpi" || base == "unimo-xla" || base == "unimo.exe" {
			want = 0o755
		}
		if mode.Perm() != want {
			t.Errorf("%s: %s has the mode %o", name, file, mode.Perm())
		}
		files[file] = content
	}
	if strings.HasSuffix(name, ".zip") {
		z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			add(f.Name, f.Mode(), r)
		}
		return files
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uname != "root" || h.Gname != "root" || h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s: %s is owned by %s:%s (%d:%d)", name, h.Name, h.Uname, h.Gname, h.Uid, h.Gid)
		}
		add(h.Name, h.FileInfo().Mode(), r)
	}
}

func checkBinary(t *testing.T, name string, raw []byte, goos, arch string) {
	t.Helper()
	machine, r := "", bytes.NewReader(raw)
	switch goos {
	case "linux":
		if f, err := elf.NewFile(r); err == nil {
			machine = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[f.Machine]
		}
	case "darwin":
		if f, err := macho.NewFile(r); err == nil {
			machine = map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[f.Cpu]
		}
	case "windows":
		if f, err := pe.NewFile(r); err == nil {
			machine = map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64"}[f.Machine]
		}
	}
	if machine != arch {
		t.Errorf("%s: the binary is for %q", name, machine)
	}
}

func TestChecksums(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(dist(t), "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		content, err := os.ReadFile(filepath.Join(dist(t), name))
		if err != nil {
			content, err = os.ReadFile(filepath.Join(dist(t), "homebrew", "Casks", name))
		}
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(content)) != sum {
			t.Errorf("%s: %v", line, err)
		}
		names[name] = true
	}
	for _, pattern := range []string{"*.tar.gz", "*.zip", "*.deb", "*.rpm", "*.sbom.json"} {
		list, err := filepath.Glob(filepath.Join(dist(t), pattern))
		if err != nil || len(list) == 0 {
			t.Errorf("%s: %v %v", pattern, list, err)
		}
		for _, file := range list {
			if !names[filepath.Base(file)] {
				t.Errorf("checksums.txt has no %s", filepath.Base(file))
			}
		}
	}
}

// The list of what is linked is the one that Go has stamped into the binary.
func TestSBOM(t *testing.T) {
	list, err := filepath.Glob(filepath.Join(dist(t), "unimo*_*", "unimo*"))
	if err != nil || len(list) != 8 {
		t.Fatalf("%v %v", list, err)
	}
	for _, binary := range list {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		name := strings.TrimSuffix(filepath.Base(binary), ".exe")
		raw, err := os.ReadFile(filepath.Join(dist(t), fmt.Sprintf("%s_%s_%s_%s.sbom.json", name, version(t), settings["GOOS"], settings["GOARCH"])))
		if err != nil {
			t.Fatal(err)
		}
		var sbom struct {
			BomFormat    string
			SerialNumber string
			Metadata     struct{ Timestamp string }
			Components   []struct{ Name, Version string }
		}
		if err := json.Unmarshal(raw, &sbom); err != nil || sbom.BomFormat != "CycloneDX" || sbom.SerialNumber != "" || sbom.Metadata.Timestamp != "" {
			t.Errorf("%s: %v %+v", binary, err, sbom)
		}
		got := map[string]string{}
		for _, c := range sbom.Components {
			got[c.Name] = c.Version
		}
		if got["std"] == "" || len(got) != len(info.Deps)+1 {
			t.Errorf("%s: %d components, and %d modules are linked", binary, len(got), len(info.Deps))
		}
		for _, d := range info.Deps {
			if got[d.Path] != d.Version {
				t.Errorf("%s: %s is %q, and %s is linked", binary, d.Path, got[d.Path], d.Version)
			}
		}
	}
}

// what a package installs, without the manual pages.
var installed = map[string][]string{
	"deb": {
		"usr/bin/unimo", "usr/share/bash-completion/completions/unimo", "usr/share/fish/vendor_completions.d/unimo.fish", "usr/share/zsh/vendor-completions/_unimo",
		"usr/share/doc/unimo/copyright", "usr/share/doc/unimo/LICENSE", "usr/share/doc/unimo/THIRD_PARTY_NOTICES", "usr/share/doc/unimo/CHANGELOG.md",
	},
	"rpm": {
		"usr/bin/unimo", "usr/share/bash-completion/completions/unimo", "usr/share/fish/vendor_completions.d/unimo.fish", "usr/share/zsh/site-functions/_unimo",
		"usr/share/licenses/unimo/NOTICE", "usr/share/licenses/unimo/LICENSE", "usr/share/licenses/unimo/THIRD_PARTY_NOTICES", "usr/share/doc/unimo/CHANGELOG.md",
	},
}

func TestDeb(t *testing.T) {
	dpkg := tool(t, "dpkg")
	root := t.TempDir()
	for _, dir := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"--root=" + root, "--force-not-root", "--log=/dev/null"}
	testPackage(t, root, "deb", func(file string) { command(t, dpkg, append(args, "-i", file)...) }, func() { command(t, dpkg, append(args, "-P", "unimo")...) })
}

func TestRPM(t *testing.T) {
	rpm := tool(t, "rpm")
	root := t.TempDir()
	command(t, rpm, "--root", root, "--initdb")
	testPackage(t, root, "rpm", func(file string) { command(t, rpm, "--root", root, "-i", file) }, func() { command(t, rpm, "--root", root, "-e", "unimo") })
}

// testPackage installs the package for this machine under a folder, uses what is there, and removes it.
func testPackage(t *testing.T, root, format string, install func(file string), remove func()) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("not run: the packages are for Linux")
	}
	before := files(t, root)
	install(one(t, fmt.Sprintf("unimo_*_linux_%s.%s", runtime.GOARCH, format)))
	var got []string
	manual := 0
	for _, file := range files(t, root) {
		switch {
		case strings.HasPrefix(file, "usr/share/man/man1/unimo") && strings.HasSuffix(file, ".1.gz"):
			manual++
		case strings.HasPrefix(file, "usr/") && !strings.HasSuffix(file, "/"):
			got = append(got, file)
		}
	}
	if want := slices.Sorted(slices.Values(installed[format])); !slices.Equal(got, want) || manual < pages {
		t.Errorf("%d manual pages, and\n%s\nwant\n%s", manual, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	program := filepath.Join(root, "usr/bin/unimo")
	if said := command(t, program, "version"); !strings.HasPrefix(said, "unimo ") {
		t.Error(said)
	}
	page, err := os.Open(filepath.Join(root, "usr/share/man/man1/unimo-predict.1.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	z, err := gzip.NewReader(page)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || !strings.HasPrefix(string(text), ".TH UNIMO") {
		t.Errorf("%v: %.60s", err, text)
	}
	if bash, err := exec.LookPath("bash"); err == nil {
		// What the script expects of the package bash-completion, and of a terminal.
		script := `compopt() { :; }; _get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
			source usr/share/bash-completion/completions/unimo; COMP_WORDS=(unimo predi); COMP_CWORD=1; COMP_LINE="unimo predi"; COMP_POINT=${#COMP_LINE}
			__start_unimo unimo predi unimo; echo "${COMPREPLY[@]}"`
		c := exec.Command(bash, "-c", script)
		c.Dir, c.Env = root, []string{"PATH=" + filepath.Join(root, "usr/bin") + ":/usr/bin:/bin"}
		if out, err := c.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "predict" {
			t.Errorf("completion: %v %s", err, out)
		}
	}
	remove()
	for _, file := range files(t, root) {
		if !slices.Contains(before, file) && strings.Contains(file, "unimo") {
			t.Errorf("%s is still there", file)
		}
	}
}

// files lists what is under a folder, folders too where they are of this program.
func files(t *testing.T, root string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if !d.IsDir() {
			list = append(list, filepath.ToSlash(name))
		} else if d.Name() == "unimo" {
			list = append(list, filepath.ToSlash(name)+"/")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCask(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(dist(t), "homebrew", "Casks", "unimo.rb"))
	if err != nil {
		t.Fatal(err)
	}
	text, v := string(raw), version(t)
	for _, want := range []string{`version "` + v + `"`, `binary "unimo"`, `manpage "man1/unimo-predict.1.gz"`, `bash_completion "completions/unimo.bash"`, `zsh_completion "completions/unimo.zsh"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "manpage "); n < pages {
		t.Errorf("%d manual pages", n)
	}
	pair := regexp.MustCompile(`url "[^"]*/(unimo_[^"]*)"\s+sha256 "([0-9a-f]{64})"`).FindAllStringSubmatch(text, -1)
	if len(pair) != 4 { // two systems, two processors
		t.Errorf("%d archives in\n%s", len(pair), text)
	}
	for _, m := range pair {
		name := strings.ReplaceAll(m[1], "#{version}", v)
		content, err := os.ReadFile(filepath.Join(dist(t), name))
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(content)) != m[2] {
			t.Errorf("%s: %v", name, err)
		}
	}
	if ruby, err := exec.LookPath("ruby"); err == nil {
		command(t, ruby, "-c", filepath.Join(dist(t), "homebrew", "Casks", "unimo.rb"))
	} else {
		t.Log("not run: no ruby here to read the cask")
	}
}
