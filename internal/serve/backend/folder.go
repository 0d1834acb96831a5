package backend

import (
	"cmp"
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
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks"
	"github.com/unimo-go/unimo/internal/tasks/captioning"
	"github.com/unimo-go/unimo/internal/tasks/classify"
	"github.com/unimo-go/unimo/internal/tasks/entail"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
	"github.com/unimo-go/unimo/internal/tasks/vqa"
	"github.com/unimo-go/unimo/internal/tasks/write"
	"github.com/unimo-go/unimo/tokenizer"
)

// folder is an open model: all that its folder can do, with one set of weights and one queue.
type folder struct {
	name, dir string
	heads     []*head
	queue     *queue
	shared    run.Shared
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

// head is one of a model's tasks, or all of a model for one: what it was opened for is set.
type head struct {
	task      string
	config    *model.Config // nil of another library's model
	opened    *run.Opened   // the same
	tokenizer *tokenizer.Tokenizer
	can       Capability

	calibrated bool

	texts     *classify.Predictor
	pairs     *entail.Predictor
	writer    *write.Generator
	captioner *captioning.Captioner
	tagger    captioning.Tagger
	answerer  *vqa.Answerer
	retriever *retrieve.Retriever
	embedder  *embed.Embedder
	index     *retrieve.Search
	ids       map[string]bool // of the index
}

// open opens the folder of a model.
func open(s Source, o *Options, gate chan struct{}) (*folder, error) {
	f := &folder{name: s.Name, dir: modeldir.Resolve(s.Dir), queue: newQueue(s.Name, o.Queue, o.MaxTokens, gate, o.Observer), created: time.Now()}
	if info, err := os.Stat(filepath.Join(f.dir, modeldir.ConfigFile)); err == nil {
		f.created = info.ModTime() // the same each time that it is loaded
	}
	if err := f.fill(o); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// fill opens all that is in the folder, and the index.
func (f *folder) fill(o *Options) error {
	if err := infile.Folder(f.dir); err != nil {
		return err
	}
	env := run.Env{Log: o.Log, Shared: &f.shared}.Ready() // one device for all heads
	if err := f.open(env, o); err != nil {
		return err
	}
	for _, h := range f.heads {
		if h.opened != nil {
			h.opened.Params.Prepare(h.opened.Device)
		} else {
			h.embedder.Prepare()
		}
		if h.retriever == nil || o.Index == "" {
			continue
		}
		x, err := h.retriever.OpenIndex(o.Index)
		if errors.Is(err, rank.ErrOtherModel) {
			continue
		}
		if err != nil {
			return err
		}
		h.index, h.ids, h.can = x, map[string]bool{}, h.can|CanSearch
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

func (f *folder) open(env *run.Env, o *Options) error {
	own, err := f.shared.Folder(f.dir)
	if err == nil && own.Config.ProblemType != "" && own.Config.ProblemType != model.Pretraining {
		f.tasks = own.Config.TaskNames()
		err = f.openTasks(env, own.Config, o)
		if err == nil {
			return nil
		}
	}
	for _, h := range f.heads {
		err = errors.Join(err, h.close())
	}
	// What has no task of ours may be an encoder, of another library, too.
	f.heads, f.tasks = nil, nil
	e, other := embed.Open(f.dir, embed.Options{}, *env)
	if other != nil {
		return cmp.Or(err, other)
	}
	e.Limit(o.MaxPixels)
	f.heads = []*head{{embedder: e, tokenizer: e.Tokenizer(), can: CanEmbedText | CanScore}}
	return nil
}

// openTasks opens a model of this program: each of its tasks.
func (f *folder) openTasks(env *run.Env, cfg model.Config, o *Options) error {
	if cfg.Tasks == nil {
		h, err := openHead(f.dir, env, cfg, o)
		if err == nil {
			f.heads = []*head{h}
		}
		return err
	}
	for _, task := range f.tasks {
		cfg, err := cfg.ForTask(task)
		if err != nil {
			return err
		}
		own := *env
		own.Task = task
		h, err := openHead(f.dir, &own, cfg, o)
		if err != nil {
			return err
		}
		h.task = task
		f.heads = append(f.heads, h)
	}
	return nil
}

func openHead(dir string, env *run.Env, cfg model.Config, o *Options) (*head, error) {
	h := &head{}
	var err error
	var reader *images.Reader
	switch cfg.ProblemType {
	case model.Classification, model.Regression:
		if h.texts, err = classify.Open(dir, *env); err == nil {
			h.opened, h.can = h.texts.Opened, CanClassify
			if h.texts.Regression() {
				h.can |= CanScore // of pairs
			}
		}
	case model.Entailment:
		if h.pairs, err = entail.Open(dir, *env); err == nil {
			h.opened, h.can, reader = h.pairs.Opened.Opened, CanClassifyPicture, &h.pairs.Reader
		}
	case model.Generation, model.Dialogue:
		if h.writer, err = write.Open(dir, *env); err == nil {
			h.opened, h.can = h.writer.Opened, CanGenerate
		}
	case model.Captioning:
		if h.captioner, err = captioning.Open(dir, *env); err == nil {
			h.opened, h.can, reader = h.captioner.Opened, CanCaption, &h.captioner.Reader
			h.tagger, err = h.captioner.Tagger(captioning.TagSettings{}, "", false)
		}
	case model.Answering, model.FreeAnswering:
		if h.answerer, err = vqa.Open(dir, *env); err == nil {
			h.opened, h.can, reader = h.answerer.Opened.Opened, CanAsk, &h.answerer.Reader
		}
	case model.Retrieval:
		if h.retriever, err = retrieve.Open(dir, *env); err == nil {
			h.opened, h.can, reader = h.retriever.Opened, CanMatch, &h.retriever.Reader
			if cfg.ContrastSize > 0 {
				h.can |= CanEmbedText | CanEmbedPicture | CanScore
				h.embedder, err = embed.OfRetriever(h.retriever)
			}
		}
	default:
		err = fmt.Errorf("model %s: problem_type is %q, which no server answers for", dir, cfg.ProblemType)
	}
	if err != nil {
		return nil, err
	}
	h.config, h.tokenizer = &h.opened.Config, h.opened.Folder.Tokenizer
	c, err := h.opened.Calibration()
	if err != nil {
		return nil, err
	}
	h.calibrated = c != nil
	if reader != nil {
		reader.Limits.MaxPixels = o.MaxPixels
		if reader.Spec() == nil { // it knows features from elsewhere alone
			h.can &^= pictured
		}
	}
	return h, nil
}

func (h *head) close() error {
	var errs []error
	if h.index != nil {
		errs = append(errs, h.index.Close())
	}
	switch {
	case h.opened != nil:
		errs = append(errs, h.opened.Close())
	case h.embedder != nil:
		errs = append(errs, h.embedder.Close())
	}
	return errors.Join(errs...)
}

// close releases the model when no call uses it any more.
func (f *folder) close() error {
	f.queue.close()
	f.fingerprint.Wait()
	var errs []error
	for _, h := range f.heads {
		errs = append(errs, h.close())
	}
	return errors.Join(append(errs, f.shared.Close())...)
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
		if h.can&any != 0 {
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
		c |= h.can
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
	d.Card = v.card
	if len(v.heads) > 1 {
		d.Tasks = v.tasks
		d.Title, i.Problem = "several tasks", model.MultiTask
	}
	counted := map[any]bool{} // several tasks share parameters
	for _, h := range v.heads {
		if e := h.embedder; e != nil {
			i.Dimension, i.MaxTokens = e.Size, max(i.MaxTokens, e.MaxTokens)
			d.Pooling, d.Normalized, d.Prompts = e.Pooling, e.Normalized, e.Prompts()
		}
		if h.tokenizer != nil {
			d.Vocabulary = h.tokenizer.VocabSize()
		}
		if h.index != nil {
			d.Index = &Index{Pictures: len(h.ids), Source: filepath.Base(filepath.FromSlash(h.index.Info.Source))} // where it is on the server is nobody's business
		}
		if h.config == nil {
			d.Parameters, d.Layers, d.Hidden = int64(h.embedder.Parameters()), h.embedder.Config().Layers, h.embedder.Config().HiddenSize
			continue
		}
		for _, p := range h.opened.Params {
			if !counted[p.Var] {
				counted[p.Var] = true
				d.Parameters += int64(p.Elements())
			}
		}
		i.MaxTokens, d.Layers, d.Hidden = max(i.MaxTokens, h.config.TextTokens()), h.config.Layers, h.config.HiddenSize
		d.Calibrated = d.Calibrated || h.calibrated
		if len(v.heads) == 1 {
			i.Problem, d.Task = h.config.ProblemType, h.config.Task
			if t := slices.IndexFunc(tasks.All, func(t *run.Task) bool { return t.Name == d.Task }); t >= 0 {
				d.Title = tasks.All[t].Title
				if k, ok := tasks.All[t].Kind.(*classify.Kind); ok {
					d.ReadsPair = k.Schema.Pair
				}
			}
		}
		switch {
		case h.texts != nil:
			i.Labels = h.texts.Labels()
		case h.pairs != nil:
			i.Labels = h.pairs.Labels()
		case h.writer != nil:
			d.Texts, d.Passage = []string{"text"}, h.writer.Dialogue()
			if h.config.Task == "squad-qg" { // questions about a passage that have an answer
				d.Texts = []string{"answer", "passage"}
			}
			d.Decoding = decodingOf(h.writer.Decoding)
		case h.captioner != nil:
			d.Decoding = decodingOf(h.captioner.Decoding)
		}
	}
	return i
}
