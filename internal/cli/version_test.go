package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/licences"
)

func TestVersionPrintsEveryLicence(t *testing.T) {
	text := must(t, "version", "--licences").stdout
	for _, want := range []string{"\nunimo\n", "--- NOTICE", "TERMS AND CONDITIONS", "Go's runtime and standard library", "github.com/spf13/cobra v1", "github.com/ebitengine/purego v", "SIL OPEN FONT LICENSE"} {
		if !strings.Contains(text, want) {
			t.Errorf("the licences lack %q", want)
		}
	}
	if american := must(t, "version", "--licenses").stdout; american != text {
		t.Error("--licenses prints something else")
	}
	var got struct{ Licences []licences.Component }
	if err := json.Unmarshal([]byte(must(t, "version", "--licences", "--json").stdout), &got); err != nil {
		t.Fatal(err)
	}
	for _, c := range got.Licences {
		if len(c.Files) == 0 || c.Files[0].Text == "" || c.Version == "" && strings.Contains(c.Name, ".") {
			t.Errorf("%s %s has %d files", c.Name, c.Version, len(c.Files))
		}
	}
	if n := strings.Count(text, strings.Repeat("=", 80)+"\n") / 2; n != len(got.Licences) || n < 40 {
		t.Errorf("%d licences as text, %d as JSON", n, len(got.Licences))
	}
}
