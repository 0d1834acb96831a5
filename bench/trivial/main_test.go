package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ task, name, content, want string }{
		{"coqa", "dev.json", `{"data":[{"id":"a","source":"x","story":"Yes it is. It was.","questions":[{"input_text":"Is it?","turn_id":1},{"input_text":"Was it?","turn_id":2}],` +
			`"answers":[{"input_text":"Yes it is","turn_id":1},{"input_text":"No","turn_id":2}]}]}`, `| always "no" | 0.5000 | 0.5000 |`},
		{"squad-qg", "dev.jsonl", `{"source":"a b c d","target":"a b c d"}`, "| the sentence itself | 1.0000 | 1.0000 |"},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := run(&out, c.task, path); err != nil || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: %v, %q does not hold %q", c.task, err, out.String(), c.want)
		}
	}
	if err := run(nil, "coqa", ""); err == nil {
		t.Error("no file was accepted")
	}
}
