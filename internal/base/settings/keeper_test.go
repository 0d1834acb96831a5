package settings

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kept has more keys than fields.
type kept struct {
	settings
	More []string `json:"more"`
}

func (k *kept) Keep(key, value string) error {
	if strings.HasPrefix(key, "bad.") {
		return errors.New("there is no bad")
	}
	k.More = append(slices.Clip(k.More), key+"="+value)
	return nil
}

func TestKeeper(t *testing.T) {
	var k kept
	if err := Set(&k, " a-b.max_len = 20"); err != nil || !slices.Equal(k.More, []string{"a-b.max_len=20"}) {
		t.Errorf("%q, %v", k.More, err)
	}
	if err := Set(&k, "bad.x=1"); err == nil || err.Error() != "there is no bad" {
		t.Errorf("got %v", err)
	}
	var plain settings
	if err := Set(&plain, "a.b=1"); err == nil || !strings.Contains(err.Error(), `unknown setting "a.b"`) {
		t.Errorf("settings without more keys: %v", err)
	}
	for content, c := range map[string]struct{ more, err string }{
		"size: 3\na.b: 1\nc-d:\n  e: [x]\n": {"", ":4: c-d.e is a list, want a value"},
		"size: 3\na.b: 1\nc-d:\n  e: x\n":   {"a.b=1 c-d.e=x", ""},
		"size: 3\na.b: [1]\n":               {"", ":2: a.b is a list, want a value"},
		"size: 3\na.b: 1\nbad:\n  x: 1\n":   {"", ":4: there is no bad"},
		"size: 3\nunknown: 1\n":             {"", ":2: unknown setting"},
	} {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		k := kept{}
		_, err := File(&k, path)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v, want %q", content, err, c.err)
		}
		if got := strings.Join(k.More, " "); got != c.more || err != nil && k.Size != 0 {
			t.Errorf("%q: kept %q and size %d", content, got, k.Size)
		}
	}
}

// What two structs have in common is given from one to the other.
func TestShare(t *testing.T) {
	to := struct {
		Size  int     `json:"size"`
		Rate  float32 `json:"rate"` // of another type
		Other string  `json:"other"`
	}{1, 2, "o"}
	from := settings{Inner: Inner{Rate: 7, Size: 8}, Name: "n"}
	if Share(&to, &from); to.Size != 8 || to.Rate != 2 || to.Other != "o" {
		t.Errorf("got %+v", to)
	}
}
