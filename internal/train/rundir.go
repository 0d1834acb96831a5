package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// Dir is a run's folder.
type Dir struct {
	root string
	lock *atomicfile.Lock // nil: only for reading
	made bool             // by this process
}

// Paths inside the folder.
func (d *Dir) Root() string          { return d.root }
func (d *Dir) Best() string          { return filepath.Join(d.root, "best") }
func (d *Dir) Last() string          { return filepath.Join(d.root, "last") }
func (d *Dir) Log() string           { return filepath.Join(d.root, "log.jsonl") }
func (d *Dir) Report() string        { return filepath.Join(d.root, "report.html") }
func (d *Dir) Path(n string) string  { return filepath.Join(d.root, n) }
func (d *Dir) snapshots() string     { return filepath.Join(d.root, "snapshots") }
func (d *Dir) info() string          { return filepath.Join(d.root, "run.json") }
func (d *Dir) snapshot(n int) string { return filepath.Join(d.snapshots(), snapshotName(n)) }

// Status of a run in run.json.
const (
	Running     = "running"
	Done        = "done"
	Interrupted = "interrupted"
	Failed      = "failed"
)

// Info is run.json: all that is needed to repeat a run, and how it ended.
type Info struct {
	Task    string            `json:"task"`
	Status  string            `json:"status"`
	Command []string          `json:"command,omitempty"` // that began it
	From    *Source           `json:"from,omitempty"`    // nil of runs of older versions
	Version map[string]string `json:"version"`           // of unimo, Go, the machine's kind
	Seed    uint64            `json:"seed"`
	Random  int               `json:"random,omitempty"`  // random.Version: the numbers that seeds give; 0 of runs of older versions
	Batches int               `json:"batches,omitempty"` // batches.Version, where a step has several; 0 of runs of older versions
	Attacks int               `json:"attacks,omitempty"` // adversarial.Version, where batches are attacked; 0 of runs of older versions
	Config  any               `json:"config"`            // resolved
	Data    map[string]string `json:"data"`              // name -> digest of every input
	Outcome *Outcome          `json:"outcome,omitempty"`
	Metrics Numbers           `json:"metrics,omitempty"` // of the best model
	Error   string            `json:"error,omitempty"`
	Grid    any               `json:"grid,omitempty"`
}

// Source says where the inputs of a run are. The paths are absolute, but those in settings, which are
// relative to Folder.
type Source struct {
	Preset string   `json:"preset"`
	Folder string   `json:"folder"` // the current one when the run began
	Data   string   `json:"data,omitempty"`
	Dev    string   `json:"dev,omitempty"`
	Init   string   `json:"init,omitempty"`
	Vocab  string   `json:"vocab,omitempty"`
	Config string   `json:"config,omitempty"` // the file of settings
	Set    []string `json:"set,omitempty"`    // settings as they were given
	Notice string   `json:"notice,omitempty"`
}

// ErrRunExists says that a folder holds a run and nobody asked to resume it.
var ErrRunExists = errors.New("already holds a run; add --resume to go on with it, or choose another folder")

// NewDir makes the folder of a new run. It belongs to this process until Close.
func NewDir(root string) (*Dir, error) {
	if err := vacant(root); err != nil {
		return nil, err
	}
	_, missing := os.Stat(root)
	d, err := own(root)
	if err != nil {
		return nil, err
	}
	d.made = missing != nil
	if err := vacant(root); err != nil { // another process was faster
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// vacant returns an error if there is more in a folder than hidden files, as those of the system
// and those that a process that was killed at once may have left.
func vacant(root string) error {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if info, problem := os.Stat(root); problem == nil && !info.IsDir() {
		return fmt.Errorf("make run folder: %s is a file; name a new folder", root)
	}
	if err != nil {
		return fmt.Errorf("make run folder: %w; name a folder that can be made and written to", err)
	}
	if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !infile.Hidden(e.Name()) }) {
		return nil
	}
	if _, err := os.Stat((&Dir{root: root}).info()); err == nil {
		return fmt.Errorf("folder %s %w", root, ErrRunExists)
	}
	return fmt.Errorf("folder %s is not empty and holds no run.json; choose another folder", root)
}

// OpenDir opens the folder of a run to resume. It belongs to this process until Close. fresh
// says that nothing has been saved in it yet, in which case it is made.
func OpenDir(root string) (d *Dir, fresh bool, err error) {
	if _, err := os.Stat((&Dir{root: root}).info()); errors.Is(err, fs.ErrNotExist) {
		d, err := NewDir(root)
		return d, true, err
	}
	d, err = own(root)
	return d, false, err
}

// own takes a folder for this process and removes what a killed one left half-written.
func own(root string) (*Dir, error) {
	d := &Dir{root: root}
	var err error
	d.lock, err = atomicfile.Own(root, filepath.Base(d.Best()), filepath.Base(d.Last()), filepath.Base(d.snapshots()), "predictions")
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = fmt.Errorf("run folder: %w; name a folder that can be made and written to", err)
	}
	return d, err
}

// Discard removes what a run that [NewDir] made has written so far, and gives the folder back.
func (d *Dir) Discard() error {
	entries, err := os.ReadDir(d.root)
	for _, e := range entries {
		if !infile.Hidden(e.Name()) { // there was no other file
			err = errors.Join(err, os.RemoveAll(filepath.Join(d.root, e.Name())))
		}
	}
	err = errors.Join(err, d.Close())
	if d.made {
		os.Remove(d.root) // unless a hidden file came into it
	}
	return err
}

// Close gives the folder back to other processes.
func (d *Dir) Close() error { return d.lock.Release() }

// WriteInfo replaces run.json.
func (d *Dir) WriteInfo(info Info) error {
	raw, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("encode run.json: %w", err)
	}
	return atomicfile.WriteBytes(d.info(), append(raw, '\n'))
}

// maxInfo bounds run.json; a grid of thousands of runs has some megabytes.
const maxInfo = 64 << 20

// ReadInfo reads run.json.
func (d *Dir) ReadInfo() (Info, error) {
	f, err := ReadFile(d.root)
	if err != nil {
		return Info{}, err
	}
	return f.Info()
}

// File is the content of a run.json, which may have come from another machine.
type File struct {
	Root    string // the run's folder
	Content []byte
}

// ReadFile reads the run.json of the folder root.
func ReadFile(root string) (File, error) {
	raw, err := infile.Read((&Dir{root: root}).info(), maxInfo)
	if err != nil {
		return File{}, damaged(root, err)
	}
	return File{root, raw}, nil
}

func damaged(root string, err error) error {
	d := &Dir{root: root}
	return fmt.Errorf("read run: %w; without it a run cannot be resumed: its models are in %s and %s, start a new run in another folder", err, d.Best(), d.Last())
}

// Info returns what the file says.
func (f File) Info() (Info, error) {
	var info Info
	if err := infile.DecodeJSON((&Dir{root: f.Root}).info(), f.Content, &info); err != nil {
		return Info{}, damaged(f.Root, err)
	}
	return info, nil
}

// Config reads the settings into config, a pointer to their struct. Keys that it does not have are passed over.
func (f File) Config(config any) error {
	err := infile.DecodeJSON((&Dir{root: f.Root}).info(), f.Content, &struct {
		Config any `json:"config"`
	}{config})
	if err != nil {
		return fmt.Errorf("read the settings of a run: %w", err)
	}
	return nil
}

// ReadOnly is the folder of a run for reading.
func ReadOnly(root string) *Dir { return &Dir{root: root} }

// OpenInfo reads the run.json of the folder root; nothing in it is touched.
func OpenInfo(root string) (Info, error) { return ReadOnly(root).ReadInfo() }

// CheckSame returns an error that lists what differs between the run that is to be
// resumed and what was asked for now: another configuration or other data would
// not continue the same run. The settings of free may differ.
func (old Info) CheckSame(now Info, free ...string) error {
	if old.Random != now.Random {
		return errors.New("the run was begun by a version of unimo whose seeds give other random numbers, so it would go on with other batches; " +
			"go on with that version, start a new run in another folder, or go on from its weights: --init RUN")
	}
	// Both through JSON, so that they have the same types.
	flat := func(info Info) (map[string]any, error) {
		raw, err := json.Marshal(map[string]any{"task": info.Task, "config": info.Config, "data": info.Data})
		if err != nil {
			return nil, err
		}
		var nested map[string]any
		if err := json.Unmarshal(raw, &nested); err != nil {
			return nil, err
		}
		out := map[string]any{"task": nested["task"]}
		for _, group := range []string{"config", "data"} {
			if values, ok := nested[group].(map[string]any); ok {
				for k, v := range values {
					out[k] = v
				}
			}
		}
		return out, nil
	}
	was, err := flat(old)
	if err != nil {
		return err
	}
	is, err := flat(now)
	if err != nil {
		return err
	}
	for _, key := range free {
		if _, input := now.Data[key]; !input {
			delete(was, key)
			delete(is, key)
		}
	}
	var differ []string
	for k, v := range is {
		if _, had := was[k]; !had && (v == "" || v == 0.0 || v == false) {
			continue // a setting that the run's version did not have, and that changes nothing
		}
		if !reflect.DeepEqual(v, was[k]) {
			if _, input := now.Data[k]; input {
				differ = append(differ, "the content of "+k+" has changed")
			} else {
				differ = append(differ, fmt.Sprintf("%s was %v and is %v", k, was[k], v))
			}
		}
	}
	for k, v := range was {
		if _, ok := is[k]; !ok {
			differ = append(differ, fmt.Sprintf("%s was %v and is not given", k, v))
		}
	}
	if len(differ) == 0 {
		does := ""
		switch {
		case old.Batches != now.Batches:
			does = "gives the batches of a step other examples"
		case old.Attacks != now.Attacks:
			does = "begins attacks (adv) with other random numbers"
		default:
			return nil
		}
		return fmt.Errorf("the run was begun by a version of unimo that %s; go on with that version, start a new run in another folder, or go on from its weights: --init RUN", does)
	}
	slices.Sort(differ)
	return fmt.Errorf("the run cannot be resumed with other settings or data: %s; give the same ones, start a new run in another folder, or go on from its weights: --init RUN", strings.Join(differ, "; "))
}
