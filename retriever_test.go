package unimo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo"

	"github.com/unimo-go/unimo/internal/demo"
	"github.com/unimo-go/unimo/internal/demo/synth"
)

// tinyScenes trains a model that finds pictures for some seconds and returns its run's folder and
// that of the pictures.
func tinyScenes(t *testing.T) (folder, pictures string) {
	t.Helper()
	dir := t.TempDir()
	trainSet, heldOut := synth.Scenes(1, 30, 5)
	if err := synth.WriteScenes(dir, trainSet[5:], trainSet[:5], heldOut); err != nil {
		t.Fatal(err)
	}
	folder = finetuned(t, demo.Scenes, dir, "image_size=32", "patch_size=16", "contrast_epochs=1", "epochs=2", "batch_size=16")
	return folder, filepath.Join(dir, "images")
}

func TestRetriever(t *testing.T) {
	run, pictures := tinyScenes(t)
	m, err := unimo.OpenRetriever(run)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	raw, err := os.ReadFile(filepath.Join(pictures, "train-00001.png"))
	if err != nil {
		t.Fatal(err)
	}
	scores, err := m.Match(t.Context(), raw, "a big red circle", "a small blue star")
	if err != nil || len(scores) != 2 || scores[0] == scores[1] {
		t.Errorf("scores %v, error %v; want two that differ", scores, err)
	}
	if _, err := m.Match(t.Context(), []byte("no picture"), "text"); err == nil {
		t.Error("a text was matched as a picture")
	}

	out := filepath.Join(t.TempDir(), "index")
	if err := m.WriteIndex(t.Context(), pictures, out); err != nil {
		t.Fatal(err)
	}
	index, err := m.OpenIndex(out)
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	alone, err := unimo.OpenIndex(out) // with the model that made it
	if err != nil {
		t.Fatal(err)
	}
	hits, err := alone.Search(t.Context(), "a big red circle", 1)
	if err != nil || len(hits) != 1 {
		t.Errorf("found %v, error %v", hits, err)
	}
	if err := alone.Close(); err != nil {
		t.Error(err)
	}
	if _, err := alone.Search(t.Context(), "text", 1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed index: error %v", err)
	}
	found, err := index.Search(t.Context(), "a big red circle", 25)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 25 || !found[0].Ranked || !found[19].Ranked || found[20].Ranked || found[0].Match < found[19].Match {
		t.Errorf("%d pictures, first %+v, twentieth %+v; want 25, of which 20 in the order of their match", len(found), found[0], found[19])
	}
	similar, err := index.Similar(t.Context(), raw, 3)
	if err != nil || len(similar) != 3 || !strings.HasSuffix(similar[0].Path, "train-00001.png") {
		t.Errorf("most like a picture: %+v, error %v; want itself first", similar, err)
	}
}

func TestOpenRetrieverRefusesOtherModels(t *testing.T) {
	if _, err := unimo.OpenRetriever(tinyRun(t)); err == nil || !strings.Contains(err.Error(), "retrieval") {
		t.Errorf("error %v, want one that says what the model is not for", err)
	}
}
