package cli

import (
	"encoding/json"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"github.com/unimo-go/unimo/internal/test/hubs"
)

// freshCaches gives the test's process empty caches, and a hub.
func freshCaches(t *testing.T) *hubs.Hub {
	t.Helper()
	h, dir := hubs.NewHub(t), t.TempDir()
	for key, value := range map[string]string{"HF_ENDPOINT": h.URL, "HF_HOME": filepath.Join(dir, "hf"), "HF_HUB_CACHE": "", "UNIMO_CACHE": filepath.Join(dir, "own"), "HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "", "HF_TOKEN": "", "HF_TOKEN_PATH": ""} {
		t.Setenv(key, value)
	}
	return h
}

// repository puts a model's folder on a hub.
func repository(t *testing.T, h *hubs.Hub, name, dir string) *hubs.Model {
	t.Helper()
	m := hubs.Model{Files: map[string][]byte{}, Gated: false, Card: map[string]any{"license": "apache-2.0"}}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err == nil {
			m.Files[filepath.ToSlash(rel)], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h.AddModel(name, m)
}

// A model that was fetched is used by its name wherever a model is named, with the same answers, and without the hub.
func TestNamesEverywhere(t *testing.T) {
	h := freshCaches(t)
	films := "../../testdata/films.model"
	model := repository(t, h, "team/films", films)
	if r := call(t, "", "predict", "--model", "hf:team/films", "a fine film"); r.code != exitFailed || !strings.Contains(r.stderr, "hf:team/films is not on this machine; fetch it with 'unimo pull hf:team/films'") {
		t.Errorf("before: exit code %d\n%s", r.code, r.stderr)
	}
	r := must(t, "pull", "hf:team/films")
	if where := strings.TrimSpace(r.stdout); filepath.Base(where) != model.Commit || !strings.Contains(r.stderr, "licence: apache-2.0") {
		t.Errorf("got %s\n%s", r.stdout, r.stderr)
	}
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("HF_HUB_OFFLINE", "1")
	for _, args := range [][]string{
		{"predict", "--model", "MODEL", "a fine film", "a bad one"},
		{"embed", "--model", "MODEL", "a fine film"},
		{"evaluate", "--model", "MODEL", "--data", "../../testdata/films"},
		{"tokenizer", "encode", "--vocab", "MODEL", "a fine film"},
		{"inspect", "MODEL"},
	} {
		with := func(model string) string {
			args := append([]string{}, args...)
			for i := range args {
				if args[i] == "MODEL" {
					args[i] = model
				}
			}
			out := must(t, args...).stdout
			return strings.ReplaceAll(strings.ReplaceAll(out, strings.TrimSpace(r.stdout), films), model, films)
		}
		if got, want := with("hf:team/films"), with(films); got != want {
			t.Errorf("%s says by name\n%s\nand by folder\n%s", args[0], got, want)
		}
	}
	out := filepath.Join(t.TempDir(), "run")
	must(t, withSettings([]string{"finetune", "classify", "--data", "../../testdata/films", "--init", "hf:team/films", "--out", out}, "max_steps=2", "batch_size=4")...)
	raw, err := os.ReadFile(filepath.Join(out, "run.json"))
	if want := "hf:team/films@" + model.Commit; err != nil || !strings.Contains(string(raw), want) {
		t.Errorf("the run does not remember %s: %v", want, err)
	}
	must(t, "pull", "hf:team/films") // offline it is what is here

	var list []modelLine
	if err := json.Unmarshal([]byte(must(t, "list", "--json").stdout), &list); err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if one := list[0]; one.Name != "hf:team/films" || one.Digest != model.Commit || one.Bytes == 0 || one.LastUsed == nil || one.Task == "" || one.Refs[0] != "main" {
		t.Errorf("got %+v", one)
	}
	if table := must(t, "list").stdout; !strings.Contains(table, "hf:team/films") || !strings.Contains(table, model.Commit[:12]) {
		t.Errorf("got %s", table)
	}
	if r := must(t, "rm", "hf:team/films"); !strings.Contains(r.stdout, "are free now") {
		t.Errorf("got %s", r.stdout)
	}
	if r := must(t, "list"); !strings.Contains(r.stdout, "no models") {
		t.Errorf("got %s", r.stdout)
	}
}

// What is pushed to a registry comes back, and answers the same.
func TestPushAndPull(t *testing.T) {
	freshCaches(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	registry := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(registry.Close)
	name, films := "oci:"+strings.TrimPrefix(registry.URL, "http://")+"/team/films:v1", "../../testdata/films.model"
	pushed := strings.TrimSpace(must(t, "push", films, name).stdout)
	if !strings.HasPrefix(pushed, name+"@sha256:") {
		t.Errorf("got %s", pushed)
	}
	must(t, "pull", name)
	for _, model := range []string{name, pushed} {
		if got, want := must(t, "predict", "--model", model, "a fine film").stdout, must(t, "predict", "--model", films, "a fine film").stdout; got != want {
			t.Errorf("%s says %s, want %s", model, got, want)
		}
	}
	if table := must(t, "list").stdout; !strings.Contains(table, "v1") || !strings.Contains(table, "oci:") {
		t.Errorf("got %s", table)
	}
	must(t, "rm", name)
	if r := call(t, "", "push", films, "hf:team/films"); r.code != exitFailed || !strings.Contains(r.stderr, "to registries of containers alone") {
		t.Errorf("to a hub: exit code %d, %s", r.code, r.stderr)
	}
}

func TestPullIsUsedWrongly(t *testing.T) {
	h := freshCaches(t)
	model := repository(t, h, "team/model", "../../testdata/films.model")
	model.Card = map[string]any{"license": "cc-by-nc-4.0"}
	for _, c := range []struct {
		args    []string
		code    int
		problem string
	}{
		{[]string{"pull"}, exitUsage, "pull needs NAME"},
		{[]string{"pull", "RUN/best"}, exitUsage, "is no name of a model"},
		{[]string{"pull", "hf:a/b/c"}, exitUsage, "is no ORG/MODEL"},
		{[]string{"pull", "unimo:bas_en"}, exitUsage, "did you mean base_en?"},
		{[]string{"pull", "hf:team/none"}, exitFailed, "there is no such model"},
		{[]string{"pull", "hf:team/model@gone"}, exitFailed, "there is no revision"},
		{[]string{"pull", "hf:team/model"}, exitFailed, "forbids commercial use"},
		{[]string{"predict", "--model", "hf:a/b/c", "x"}, exitFailed, "is no ORG/MODEL"},
		{[]string{"rm", "x"}, exitUsage, "is no name of a model"},
		{[]string{"rm", "hf:team/model"}, exitFailed, "hf:team/model is not on this machine; 'unimo list' shows what is"},
		{[]string{"rm", ""}, exitUsage, "rm needs NAME, which is empty"},
	} {
		if r := call(t, "", c.args...); r.code != c.code || !strings.Contains(r.stderr, c.problem) {
			t.Errorf("unimo %s: exit code %d, want %d with %q\n%s", strings.Join(c.args, " "), r.code, c.code, c.problem, r.stderr)
		}
	}
	var got struct {
		Path     string `json:"path"`
		Licence  string `json:"licence"`
		Revision string `json:"revision"`
	}
	if err := json.Unmarshal([]byte(must(t, "pull", "-y", "hf:team/model", "--json").stdout), &got); err != nil || got.Licence != "cc-by-nc-4.0" || got.Revision != model.Commit {
		t.Errorf("got %+v, %v", got, err)
	}
	must(t, "pull", "hf:team/model") // asked once
}
