package backend

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/store"
	"github.com/unimo-go/unimo/tokenizer"
)

// folder is an open model: all that its folder can do, with one set of weights and one queue.
type folder struct {
	name, dir string
	heads     []*head
	queue     *queue
	shared    *run.Shared
	device    *chip        // nil: the processor
	leave     func() error // the accelerator
	created   time.Time
	card      string
	tasks     []string        // of a model for several
	infos     map[string]Info // of the whole and of its tasks, by their names

	fingerprint sync.WaitGroup // until digest is known
	mu          sync.Mutex
	digest      string

	users   int  // calls that use it; the registry's
	retired bool // another has its name
}

// head is one of a model's tasks, or all of a model for one.
type head struct {
	run.Serving // of another library's model nothing of it is set
	io.Closer

	task, title string
	tokenizer   *tokenizer.Tokenizer
	calibrated  bool
	embedder    *embed.Embedder // nil: it makes no vectors
	encoder     bool            // these are of the encoder of a model that was trained for something else
	index       run.Index
	ids         map[string]bool // of the index
}

// open opens the folder of a model.
func (r *Registry) open(ctx context.Context, s Source) (*folder, error) {
	dir, err := modeldir.Find(s.Dir)
	if err != nil {
		return nil, err
	}
	f := &folder{name: s.Name, dir: dir, queue: newQueue(s.Name, r.o.Queue, r.o.MaxTokens, r.lanes, r.gate, r.o.Observer), created: time.Now(), device: r.chip()}
	d, leave := f.device.scope()
	f.leave = leave
	switch {
	case r.rounding != nil:
		d = r.rounding.ForModel()
	case f.device == nil:
		d = device.CPU(0)
	}
	f.shared = run.NewShared(d)
	if info, err := os.Stat(filepath.Join(f.dir, modeldir.ConfigFile)); err == nil {
		f.created = info.ModTime() // the same each time that it is loaded
	}
	err = engine.Guard(func() error { return f.fill(&r.o, d) })
	if err == nil && f.device != nil {
		err = f.warmUp(ctx, &r.o)
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// fill opens all that is in the folder, and the index, on one device.
func (f *folder) fill(o *Options, d engine.Device) error {
	if err := infile.Folder(f.dir); err != nil {
		return err
	}
	env := run.Env{Device: d, Log: o.Log, Shared: f.shared, OpenStore: store.Open}.Ready()
	if err := f.open(env, o); err != nil {
		return err
	}
	for _, h := range f.heads {
		if h.Model != nil {
			h.Model.Params.Prepare(h.Model.Device)
		} else {
			h.embedder.Prepare()
		}
		if h.Pictures != nil {
			if err := h.Pictures.Prepare(); err != nil {
				return err
			}
		}
		if h.OpenIndex == nil || o.Index == "" {
			continue
		}
		x, err := h.OpenIndex(o.Index)
		if errors.Is(err, rank.ErrOtherModel) {
			continue
		}
		if err != nil {
			return err
		}
		h.index, h.ids = x, map[string]bool{}
		for _, id := range x.IDs() {
			h.ids[id] = true
		}
	}
	if raw, err := infile.Read(filepath.Join(f.dir, modeldir.CardFile), maxCard); err == nil {
		f.card = string(raw)
	}
	whole, _ := f.view("")
	f.infos = map[string]Info{whole.id: whole.describe()}
	for _, task := range f.tasks {
		v, _ := f.view(task)
		f.infos[v.id] = v.describe()
	}
	if f.device != nil {
		engine.Settle(env.Device)
	}
	f.fingerprint.Go(func() {
		digest, err := fingerprint(f.dir)
		if err != nil {
			o.Log.Warn(fmt.Sprintf("model %s has no fingerprint: %v", f.name, err))
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.digest = digest
	})
	return nil
}

// maxCard bounds the README.md of a model that is shown.
const maxCard = 1 << 18

// open opens what a kind serves of the folder. What none does may be an encoder, of another library, too.
func (f *folder) open(env *run.Env, o *Options) error {
	own, err := f.shared.Folder(f.dir)
	if err == nil {
		if err := f.openTasks(env, own.Config, o); err != nil {
			return err
		}
		if f.openEncoder(env); len(f.heads) > 0 {
			return nil
		}
	}
	e, other := embed.Open(f.dir, embed.Options{}, run.Env{Log: env.Log, Device: env.Device})
	if other != nil {
		return cmp.Or(err, other)
	}
	if errors.Is(err, model.ErrWrongTask) { // a classifier of another library, and why it is served as an encoder alone
		o.Log.Warn(fmt.Sprintf("%v; it is served for its vectors", err))
	}
	f.heads = []*head{{Closer: e, embedder: e, tokenizer: e.Tokenizer()}}
	return nil
}

// openEncoder lets a model of this program make vectors of texts as "unimo embed" does, where none of its tasks has vectors of its own. One that
// the command refuses makes none.
func (f *folder) openEncoder(env *run.Env) {
	if len(f.heads) == 0 || slices.ContainsFunc(f.heads, func(h *head) bool { return h.embedder != nil }) {
		return
	}
	e, err := embed.Open(f.dir, embed.Options{}, *env)
	if err != nil {
		return
	}
	if f.tasks == nil {
		f.heads[0].embedder, f.heads[0].encoder = e, true
	} else {
		f.heads = append(f.heads, &head{Closer: e, embedder: e, encoder: true})
	}
}

// openTasks opens a model of this program: each of its tasks.
func (f *folder) openTasks(env *run.Env, cfg model.Config, o *Options) error {
	if cfg.Tasks == nil {
		return f.openHead(env, cfg, o)
	}
	for _, task := range cfg.TaskNames() {
		cfg, err := cfg.ForTask(task)
		if err != nil {
			return err
		}
		own := *env
		own.Task = task
		if err := f.openHead(&own, cfg, o); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) openHead(env *run.Env, cfg model.Config, o *Options) error {
	t, m, err := o.Tasks.OpenServable(f.dir, cfg, env)
	if m == nil {
		return err
	}
	h := &head{Closer: m, task: env.Task}
	f.heads = append(f.heads, h)
	if h.task != "" {
		f.tasks = append(f.tasks, h.task)
	}
	if h.Serving, err = m.Serve(t); err != nil {
		return err
	}
	if t.Name == cfg.Task {
		h.title = t.Title
	}
	h.tokenizer = h.Model.Folder.Tokenizer
	if h.Pictures != nil {
		h.Pictures.Limit(o.MaxPixels)
	}
	if h.Vectors != nil {
		h.embedder = embed.Of(h.Serving)
	}
	c, err := h.Model.Calibration()
	h.calibrated = c != nil
	return err
}

// can is what the model can do.
func (h *head) can() (c Capability) {
	for _, x := range []struct {
		does bool
		can  Capability
	}{
		{h.Classify != nil, CanClassify},
		{h.Classify != nil && h.Labels == nil, CanScore}, // pairs of texts
		{h.Judge != nil, CanClassifyPicture},
		{h.Write != nil, CanGenerate},
		{h.Caption != nil, CanCaption},
		{h.Ask != nil, CanAsk},
		{h.Match != nil, CanMatch},
		{h.embedder != nil, CanEmbedText},
		{h.embedder != nil && !h.encoder, CanScore}, // by vectors
		{h.embedder != nil && h.embedder.Reads(), CanEmbedPicture},
		{h.index != nil, CanSearch},
	} {
		if x.does {
			c |= x.can
		}
	}
	return c
}

func (h *head) close() error {
	var err error
	if h.index != nil {
		err = h.index.Close()
	}
	return errors.Join(err, h.Close())
}

// close releases the model when no call uses it any more.
func (f *folder) close() error {
	f.queue.close()
	f.fingerprint.Wait()
	var errs []error
	for _, h := range f.heads {
		errs = append(errs, h.close())
	}
	return errors.Join(append(errs, f.shared.Close(), f.leave())...)
}

// fingerprint is a digest of the files of a folder: configuration, vocabulary, weights.
func fingerprint(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	all := sha256.New()
	for _, e := range entries { // they are in order
		if !e.Type().IsRegular() && e.Type()&fs.ModeSymlink == 0 || infile.Hidden(e.Name()) || e.Name() == modeldir.CardFile {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		file, err := infile.Open(path)
		if err != nil {
			return "", err
		}
		one := sha256.New()
		_, err = io.Copy(one, file)
		if err = errors.Join(err, file.Close()); err != nil {
			return "", err
		}
		fmt.Fprintf(all, "%x %s\n", one.Sum(nil), e.Name())
	}
	return "sha256:" + hex.EncodeToString(all.Sum(nil)), nil
}

// view is what a name means: all of a folder, or one of its tasks.
type view struct {
	*folder
	id    string
	heads []*head
}

// view returns the folder, or one of its tasks.
func (f *folder) view(task string) (view, bool) {
	if task == "" {
		return view{f, f.name, f.heads}, true
	}
	for _, h := range f.heads {
		if h.task == task {
			return view{f, f.name + "/" + task, []*head{h}}, true
		}
	}
	return view{}, false
}

// with returns the head that can do one of some things. More than one is an error that names them.
func (v view) with(any Capability, does string) (*head, error) {
	var found []*head
	for _, h := range v.heads {
		if h.can()&any != 0 {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 0:
		if any&^pictured == 0 && v.can()&pictured == 0 {
			does = "read pictures"
		}
		return nil, Errorf(Cannot, "model", "model %s does not %s; it can: %s", v.id, does, v.can())
	case 1:
		return found[0], nil
	}
	names := ""
	for i, h := range found {
		if i > 0 {
			names += " or "
		}
		names += v.name + "/" + h.task
	}
	return nil, Errorf(Cannot, "model", "several tasks of model %s %s; name one: %s", v.id, does, names)
}

func (v view) can() (c Capability) {
	for _, h := range v.heads {
		c |= h.can()
	}
	return c
}

// info says what the model is. Every request asks for it.
func (v view) info() Info {
	i := v.infos[v.id]
	v.folder.mu.Lock()
	defer v.folder.mu.Unlock()
	i.Fingerprint = v.digest
	return i
}

// describe is info without the fingerprint, which takes a while.
func (v view) describe() Info {
	i := Info{ID: v.id, Dir: v.dir, Created: v.created.Truncate(time.Second), Can: v.can()}
	d := &i.Details
	if v.id == v.name { // once
		d.Card = v.card
	}
	if len(v.heads) > 1 {
		d.Tasks = v.tasks
		d.Title, i.Problem = "several tasks", model.MultiTask
	}
	counted := map[any]bool{} // several tasks share parameters
	for _, h := range v.heads {
		if e := h.embedder; e != nil {
			i.Dimension, i.MaxTokens = e.Size, max(i.MaxTokens, e.MaxTokens)
			d.Pooling, d.Normalized, d.Prompts, d.Encoder = e.Pooling, e.Normalized, e.Prompts(), h.encoder
		}
		if h.tokenizer != nil {
			d.Vocabulary = h.tokenizer.VocabSize()
		}
		if h.index != nil {
			d.Index = &Index{Pictures: len(h.ids), Source: filepath.Base(h.index.From())} // where it is on the server is nobody's business
		}
		if h.Model == nil && h.encoder {
			continue
		}
		if h.Model == nil {
			d.Parameters, d.Layers, d.Hidden = int64(h.embedder.Parameters()), h.embedder.Config().Layers, h.embedder.Config().HiddenSize
			continue
		}
		for _, p := range h.Model.Params {
			if !counted[p.Var] {
				counted[p.Var] = true
				d.Parameters += int64(p.Elements())
			}
		}
		cfg := h.Model.Config
		i.MaxTokens, d.Layers, d.Hidden = max(i.MaxTokens, cfg.TextTokens()), cfg.Layers, cfg.HiddenSize
		d.Calibrated = d.Calibrated || h.calibrated
		if len(v.heads) == 1 {
			i.Problem, d.Task, d.Title = cfg.ProblemType, cfg.Task, h.title
			d.ReadsPair = h.Classify != nil && len(h.Texts) > 1
		}
		if h.Labels != nil {
			i.Labels = h.Labels
		}
		if h.Write != nil {
			d.Texts, d.Passage = h.Texts, h.Passage
		}
		if h.Write != nil || h.Caption != nil {
			d.Decoding = decodingOf(h.Decoding)
		}
	}
	return i
}
