package demo

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/demo/synth"
)

// ready is the part one-model with a model that is checked in, so that it takes seconds.
var ready = func() Part {
	p := oneModel
	p.Name, p.Takes = "ready", "seconds"
	p.About = "shows a checked-in model that " + oneModel.About
	p.write, p.run = writeHeldOut, (*runner).ready
	return p
}()

// checkedIn is the model of the part one-model, in float16. Its README says how it was made.
//
//go:embed model
var checkedIn embed.FS

// writeHeldOut writes the held-out scenes alone.
func writeHeldOut(dir string, n Sizes) error {
	_, _, heldOut := talkScenes(n)
	return synth.WriteScenes(dir, nil, nil, heldOut)
}

// ready shows the checked-in model.
func (r *runner) ready() (Outcome, error) {
	dir, err := r.unpacked()
	if err != nil {
		return Outcome{}, err
	}
	out, err := r.show(dir, "")
	out.Text = "The checked-in model, made by \"unimo demo one-model --seed 1\" and then\n\"unimo convert --dtype float16\".\n" + out.Text
	return out, err
}

// unpacked returns the folder of the checked-in model, which is written unless an earlier demo has.
func (r *runner) unpacked() (string, error) {
	dir := filepath.Join(r.Dir, "model")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, atomicfile.WriteDir(dir, unpack)
}

// unpack writes the checked-in model into a folder.
func unpack(dir string) error {
	return fs.WalkDir(checkedIn, "model", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := checkedIn.ReadFile(path)
		if err != nil {
			return err
		}
		return atomicfile.WriteBytes(filepath.Join(dir, e.Name()), raw)
	})
}
