package picture

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestID(t *testing.T) {
	for name, want := range map[string]string{
		"dog.jpg": "dog.jpg", "100%.jpg": "100%.jpg", "a/caf\u00e9.jpg": "a/caf\u00e9.jpg",
		"caf\xe9.jpg": "caf%E9.jpg", "50%\xff": "50%25%FF",
	} {
		if got := ID(name); got != want {
			t.Errorf("ID(%q) is %q, want %q", name, got, want)
		}
	}
}

func TestIDIsUndone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := string(rapid.SliceOf(rapid.Byte()).Draw(t, "name"))
		id := ID(name)
		if !utf8.ValidString(id) {
			t.Fatalf("the id %q of %q is not UTF-8", id, name)
		}
		if utf8.ValidString(name) {
			if id != name {
				t.Fatalf("the id of %q is %q", name, id)
			}
			return
		}
		if back, ok := unescape(id); !ok || back != name {
			t.Fatalf("%q becomes %q and then %q", name, id, back)
		}
	})
}

func TestKey(t *testing.T) {
	for _, pair := range [][2]string{{"caf\u00e9.jpg", "cafe\u0301.jpg"}, {"./b.jpg", "b.jpg"}, {"a//b.jpg", "a/b.jpg"}, {"", ""}} {
		if Key(pair[0]) != Key(pair[1]) {
			t.Errorf("%q and %q have the keys %q and %q", pair[0], pair[1], Key(pair[0]), Key(pair[1]))
		}
	}
	if Key("a.jpg") == Key("A.jpg") || Key("a.jpg") == Key("b/a.jpg") {
		t.Error("different names have one key")
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain.jpg", "cafe\u0301/na\u00efve.jpg", "raw\xe9.jpg", "100%41.jpg"} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Skipf("not run: the system refuses such names: %v", err)
		}
	}
	for name, want := range map[string]string{
		"plain.jpg": "plain.jpg", "./plain.jpg": "plain.jpg", "a/../plain.jpg": "plain.jpg",
		"caf\u00e9/nai\u0308ve.jpg": "cafe\u0301/na\u00efve.jpg", "raw%E9.jpg": "raw\xe9.jpg", "100%41.jpg": "100%41.jpg",
		"missing.jpg": "missing.jpg", "cafe\u0301/missing.jpg": "cafe\u0301/missing.jpg", "raw%E8.jpg": "raw%E8.jpg",
	} {
		if got, err := Find(dir, name); err != nil || got != filepath.Join(dir, filepath.FromSlash(want)) {
			t.Errorf("%q is found at %q (%v), want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "../a.jpg", "/a.jpg", "a/../../b.jpg", "%2E%2E/\x2525.jpg/../.."} {
		if got, err := Find(dir, name); err == nil && !within(dir, got) {
			t.Errorf("%q leads to %q", name, got)
		}
	}
	if _, err := Find(dir, "../a.jpg"); err == nil {
		t.Error("a name that leads out of the folder")
	}
}

func within(dir, file string) bool {
	rel, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(rel)
}
