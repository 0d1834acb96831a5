package unimo_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// A model on an accelerator answers as on the processor, its process ends with it, and is missed.
func TestAcceleratorOfAModel(t *testing.T) {
	name, dir, ctx := accelerator.Name(t), filepath.Join("testdata", "films.model"), context.Background()
	in := unimo.Input{Text: "a gripping and funny film"}
	here, err := unimo.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	want, err := here.Predict(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	open := func() *unimo.Model {
		t.Helper()
		m, err := unimo.Open(dir, unimo.Device(name), unimo.Precision("float32"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	helpers := func(want int) []int {
		t.Helper()
		list := accelerator.Children(t, os.Getpid())
		if len(list) != want {
			t.Fatalf("the processes %v run, want %d", list, want)
		}
		return list
	}
	m := open()
	got, err := m.Predict(ctx, in)
	if err != nil || got[0].Label != want[0].Label || math.Abs(got[0].Probability-want[0].Probability) > 1e-6 {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	helpers(1)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	helpers(0)
	if _, err := m.Predict(ctx, in); !errors.Is(err, unimo.ErrClosed) {
		t.Errorf("closed, it says %v", err)
	}

	// Models of a folder have one process, which the last one ends. Where it is gone, those that are opened then have another.
	m, second := open(), open()
	helpers(1)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if got, err := second.Predict(ctx, in); err != nil || got[0].Label != want[0].Label {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	syscall.Kill(helpers(1)[0], syscall.SIGKILL)
	if _, err := second.Predict(ctx, in); !errors.Is(err, unimo.ErrDeviceLost) {
		t.Errorf("without its device it says %v", err)
	}
	third := open()
	helpers(1)
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if got, err := third.Predict(ctx, in); err != nil || got[0].Label != want[0].Label {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if err := third.Close(); err != nil {
		t.Error(err)
	}
	helpers(0)

	if _, err := unimo.OpenGenerator(dir, unimo.Device(name)); !errors.Is(err, unimo.ErrWrongTask) {
		t.Errorf("a model for something else: %v", err)
	}
	helpers(0)
	if _, err := unimo.Open(dir, unimo.Device(name+"none")); err == nil || errors.Is(err, unimo.ErrSetting) {
		t.Errorf("a plugin that is not there: %v", err)
	}
}
