//go:build linux || darwin

package capi

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// library compiles one in C.
func library(t *testing.T, name, code string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("not run: no C compiler here")
	}
	dir := t.TempDir()
	source, path := filepath.Join(dir, "plugin.c"), filepath.Join(dir, name)
	if err := os.WriteFile(source, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", path, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// table is a plugin's code: a table of so many bytes that has functions, of a version.
func table(size, version, functions string) string {
	return "static struct { unsigned long size, extension, size2, extension2; int major, minor; void *slots[200]; } api = {" + size + ", 0, 24, 0, " + version + ", {" + functions + "}};\n" +
		"void *GetPjrtApi(void) { return &api; }\n"
}

func TestRefused(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("this is no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	// An error whose message is "no chip" and whose code is 5.
	const failing = `struct args { unsigned long size; void *extension; void *error; const char *text; unsigned long n; };
static void destroy(void *a) {}
static void message(struct args *a) { a->text = "no chip here"; a->n = 7; }
static void *code(struct args *a) { *(int *)&a->text = 5; return 0; }
static void *good(void *a) { return 0; }
static void *bad(void *a) { return (void *)&destroy; }
`
	for name, test := range map[string]struct{ path, says string }{
		"absent":     {filepath.Join(t.TempDir(), "absent.so"), "no such file"},
		"text":       {text, "cannot be loaded"},
		"library":    {library(t, "other.so", "int x;"), "is no PJRT plugin: it has no function GetPjrtApi"},
		"empty":      {library(t, "empty.so", "void *GetPjrtApi(void) { return 0; }"), "GetPjrtApi returned nothing"},
		"older":      {library(t, "older.so", table("1000", "0, 60", "0")), "has version 0.60 of the PJRT API, want 0.81 or a newer 0.x; take another version of the plugin"},
		"newer":      {library(t, "newer.so", table("1000", "1, 0", "0")), "has version 1.0 of the PJRT API"},
		"short":      {library(t, "short.so", table("40", "0, 100", "0")), "the plugin has no function 3"},
		"no chip":    {library(t, "chip.so", failing+table("1640", "0, 100", "destroy, message, code, good, good, 0, 0, 0, 0, 0, bad")), "no chip"},
		"no machine": {library(t, "libtpu.so", table("1000", "0, 100", "0")), "is for machines with TPUs, and this is none: it was not loaded"},
	} {
		_, err := new(Plugin).Open(test.path, false, []wire.Option{{Name: "option", Value: "value"}})
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %s", name, err, test.says)
		}
		if e, ok := errors.AsType[*wire.Error](err); name == "no chip" && (!ok || e.Code != 5 || e.Message != "no chip") {
			t.Errorf("%#v", err)
		}
	}
}
