package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// Opened is a finished model's folder, and its parameters on a device. The kinds' own types embed it. Of a model for
// several tasks it is the view of one.
type Opened struct {
	Config model.Config
	Dir    string
	Device engine.Device
	Folder *modeldir.Model
	Params model.Parameters

	task        string // of a model for several
	digest      string // of the weights; "" until it is needed
	calibrating bool
	calibration *calibration.Calibration // nil until it is needed
	reading     sync.Mutex               // of digest and calibration
}

// Digest returns a digest of the weights.
func (o *Opened) Digest() (string, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	return o.digested()
}

func (o *Opened) digested() (string, error) {
	if o.digest != "" {
		return o.digest, nil
	}
	var err error
	o.digest, err = DigestTensors(o.Folder.Weights)
	return o.digest, err
}

// Calibration returns what makes probabilities of the model's scores; nil if it has none, and while a new one is fitted.
func (o *Opened) Calibration() (*calibration.Calibration, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	path := o.File(modeldir.CalibrationFile)
	if _, err := os.Stat(path); o.calibrating || o.calibration != nil || errors.Is(err, fs.ErrNotExist) {
		return o.calibration, nil
	}
	digest, err := o.digested()
	if err != nil {
		return nil, err
	}
	o.calibration, err = calibration.Read(path, digest)
	return o.calibration, err
}

// Calibrate prepares the model to be scored for a new calibration.
func (o *Opened) Calibrate() { o.calibrating = true }

// Calibrating says whether a calibration is to be fitted.
func (o *Opened) Calibrating() bool { return o.calibrating }

// SaveCalibration keeps a calibration with the model, and returns its file.
func (o *Opened) SaveCalibration(c *calibration.Calibration) (path string, err error) {
	path = filepath.Join(o.Dir, modeldir.CalibrationFile)
	if o.task != "" {
		path = filepath.Join(o.Dir, model.TaskPrefix(o.task)+modeldir.CalibrationFile)
	}
	digest, err := o.Digest()
	if err != nil {
		return path, err
	}
	return path, c.Write(path, digest)
}

// Open opens the model in the folder dir (or the best model of a run's folder). Its weights are
// mapped, not read. build makes the model of them, which is all that kinds do in their own way.
// problems are the problem types that are wanted: of a model for several tasks the task is opened that [Env.Task]
// names, or else the one whose problem type it is.
func Open(dir string, env *Env, build func(o *Opened) (model.Parameters, error), problems ...string) (*Opened, error) {
	folder, err := env.Shared.Folder(dir)
	if err != nil {
		return nil, err
	}
	o := &Opened{Config: folder.Config, Dir: folder.Dir, Device: env.Device, Folder: folder}
	if err = o.choose(env.Task, problems); err == nil {
		err = o.checkSight(env.Extractor)
	}
	if err == nil {
		o.Params, err = build(o)
	}
	if err == nil && o.Params.Count() <= checkedWhenOpened {
		err = o.Params.CheckWeights(o.Device)
	}
	if err != nil {
		folder.Close()
		return nil, fmt.Errorf("model %s: %w", folder.Dir, err)
	}
	return o, nil
}

// checkSight refuses to name what sees the pictures of a model that reads none.
func (o *Opened) checkSight(extractor string) error {
	if extractor == "" || o.Config.ReadsImages() {
		return nil
	}
	return &SettingError{errors.New("an extractor is named (--extractor), but the model reads no pictures; leave it out")}
}

// choose makes o the view of one task, if its model is one for several.
func (o *Opened) choose(task string, problems []string) error {
	all := o.Config
	if all.Tasks == nil {
		if problems != nil {
			if err := all.Want(problems...); err != nil {
				return err
			}
		}
		if task != "" && all.Task != task {
			return &SettingError{fmt.Errorf("it is a model for %s alone; leave the task %s out", cmp.Or(all.Task, all.ProblemType), task)}
		}
		return nil
	}
	task, err := chooseTask(all, task, problems)
	if err != nil {
		return err
	}
	if o.Config, err = all.ForTask(task); err != nil {
		return err
	}
	o.task = task
	o.Folder.Config, o.Folder.Weights = o.Config, all.ViewTask(o.Folder.Weights, task)
	return nil
}

// chooseTask returns the task that is meant of a model for several: the one that is named, or the only one with one of
// the problem types.
func chooseTask(cfg model.Config, task string, problems []string) (string, error) {
	var fit []string
	for _, name := range cfg.TaskNames() {
		c, err := cfg.ForTask(name)
		if err != nil {
			return "", err
		}
		if problems == nil || slices.Contains(problems, c.ProblemType) {
			fit = append(fit, name)
		}
	}
	if task != "" {
		name, err := names.Find("task of the model", task, cfg.TaskNames())
		if err != nil {
			return "", &SettingError{err}
		}
		if !slices.Contains(fit, name) {
			return "", model.WrongTaskf("its task %s is another sort of work: this needs one for %s", name, strings.Join(problems, " or "))
		}
		return name, nil
	}
	switch len(fit) {
	case 0:
		return "", model.WrongTaskf("it has the %s: this needs one for %s", cfg.About(), strings.Join(problems, " or "))
	case 1:
		return fit[0], nil
	}
	return "", &SettingError{fmt.Errorf("its tasks %s all fit; name one of them (--task NAME, or unimo.ForTask)", strings.Join(fit, ", "))}
}

// File is the path of a file beside the weights. Of a model for several tasks it is that of the task, if it has one of
// its own.
func (o *Opened) File(name string) string {
	if o.task != "" {
		own := filepath.Join(o.Dir, model.TaskPrefix(o.task)+name)
		if _, err := os.Stat(own); err == nil {
			return own
		}
	}
	return filepath.Join(o.Dir, name)
}

// checkedWhenOpened is the most parameters of a model whose weights are looked at whenever it is opened: that
// takes some ten milliseconds. Those of a larger one are looked at before much work is done with them; else only its outputs are,
// which a broken weight that a norm or a ReLU swallows does not reach.
const checkedWhenOpened = 16 << 20

// CheckWeights looks at the weights of a model that is so large that opening it did not.
func (o *Opened) CheckWeights() error {
	if o.Params.Count() <= checkedWhenOpened {
		return nil
	}
	if err := o.Params.CheckWeights(o.Device); err != nil {
		return fmt.Errorf("model %s: %w", o.Dir, err)
	}
	return nil
}

// Fits returns an error if the model was made for another kind of task.
func (o *Opened) Fits(t *Task) error {
	if problem := t.Kind.Problem(); o.Config.ProblemType != problem {
		return fmt.Errorf("model %s is for %s, but %s needs one for %s; give a model fine-tuned for it", o.Dir, o.Config.ProblemType, t.Name, problem)
	}
	return nil
}

// Close releases the model.
func (o *Opened) Close() error { return o.Folder.Close() }
