package backend

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

// toy is a kind of task that only this test knows: whether a text has an even number of words.
type toy struct{ run.Evaluator }

func (toy) Problem() string { return model.Classification }

func (toy) Open(dir string, env *run.Env) (run.Finished, error) {
	o, err := run.Open(dir, env, func(*run.Opened) (model.Parameters, error) { return nil, nil })
	return toyModel{opened: o}, err
}

type toyModel struct {
	run.Finished
	opened *run.Opened
}

func (m toyModel) Close() error { return m.opened.Close() }

func (m toyModel) Serve(*run.Task) (run.Serving, error) {
	return run.Serving{Model: m.opened, Labels: []string{"odd", "even"}, Classify: m}, nil
}

func (toyModel) Encode(x labelled.Example) (labelled.Record, bool) {
	return labelled.Record{Tokens: make([]int32, len(strings.Fields(x.TextA)))}, false
}

func (toyModel) Answer(_ context.Context, records []labelled.Record, _ run.Tick) (list []run.Reply, err error) {
	for _, r := range records {
		even := (len(r.Tokens) + 1) % 2
		list = append(list, run.Reply{Label: []string{"odd", "even"}[even], Probability: 1})
	}
	return list, nil
}

// toys returns a registry with a model of the toy's kind.
func toys(t *testing.T) *Registry {
	t.Helper()
	r, err := New(Options{
		Tasks: run.Tasks{{Name: "toy", Title: "a toy", Kind: toy{}}}, Models: []Source{{"films", filepath.Join(tiny, "films.model")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// A kind of task from elsewhere is served, by nothing but what it says itself.
func TestToyKind(t *testing.T) {
	r := toys(t)
	m := get(t, r, "films")
	list, use, err := m.Classify(t.Context(), []Input{{Text: "a film"}, {Text: "film"}, {Text: ""}})
	if err != nil || len(list) != 3 || list[0].Label != "even" || list[1].Label != "odd" || use.Tokens != 3 {
		t.Errorf("%+v, %+v, %v", list, use, err)
	}
	if i := m.Info(); !i.Can.Has(CanClassify) || i.Can.Has(CanGenerate) || i.Labels[1] != "even" {
		t.Errorf("%+v", i)
	}
	if _, err := m.Generate(t.Context(), GenerateRequest{Texts: []string{"a"}}, nil); AsError(err).Kind != Cannot {
		t.Error(err)
	}
}

// seeing is a toy that has eyes.
type seeing struct{ toy }

func (k seeing) Open(dir string, env *run.Env) (run.Finished, error) {
	m, err := k.toy.Open(dir, env)
	if err != nil {
		return nil, err
	}
	return seeingModel{m.(toyModel)}, nil
}

type seeingModel struct{ toyModel }

func (m seeingModel) Serve(t *run.Task) (run.Serving, error) {
	s, err := m.toyModel.Serve(t)
	s.Pictures = brokenEyes{}
	return s, err
}

type brokenEyes struct{ run.PictureReader }

func (brokenEyes) Limit(int) {}

func (brokenEyes) Prepare() error { return errors.New("the network is broken") }

// What sees the pictures is there before a model answers, not with the first picture.
func TestEyesAreOpenBeforeAModelAnswers(t *testing.T) {
	r, err := New(Options{Tasks: run.Tasks{{Name: "toy", Title: "a toy", Kind: seeing{}}}, Models: []Source{{"films", filepath.Join(tiny, "films.model")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "the network is broken") || r.Ready() == nil {
		t.Errorf("%v, %v", err, r.Ready())
	}
}

// lostEyes are those of a model whose accelerator was lost.
type lostEyes struct{ run.PictureReader }

func (lostEyes) Decode(context.Context, []byte) (*regions.Image, error) {
	panic(engine.Failure{Err: &pjrt.CrashError{Status: "signal: killed"}})
}

// A picture that nothing can look at any more takes no other's place, and is not what is said to be wrong.
func TestPictureOnALostDevice(t *testing.T) {
	r := toys(t)
	err := r.use("films", func(v view) error {
		_, err := r.decode(t.Context(), v, &head{Serving: run.Serving{Pictures: lostEyes{}}}, "image", [][]byte{nil})
		return err
	})
	if e := AsError(err); e.Kind != Unavailable || len(r.decoding) != 0 {
		t.Errorf("%v, and %d pictures are being decoded", err, len(r.decoding))
	}
}
