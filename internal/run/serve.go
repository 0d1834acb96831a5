package run

import (
	"context"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/rank"
)

// Servable is a finished model that "unimo serve" answers requests with. A kind is served if it is an [Evaluator] and what its Open returns is
// Servable; nothing else need know the kind. One that classifies texts says so with two fields:
//
//	func (p *Predictor) Serve(*run.Task) (run.Serving, error) {
//		return run.Serving{Model: p.Opened, Labels: p.Labels(), Classify: p}, nil
//	}
type Servable interface {
	Finished
	// Serve says what a server may ask of the model, which was opened for the task t. It is called once.
	Serve(t *Task) (Serving, error)
}

// Serving is what a server may ask of a model. What is nil, the model does not do.
//
// Reading and computing are apart. Methods without a context read one input: many goroutines call them at once. Those with one take the inputs
// of many requests through the model together and answer each, in order, as if it were alone, bit for bit. Many goroutines call them, too, each with
// inputs of its own; the weights are prepared before.
type Serving struct {
	Model    *Opened
	Pictures PictureReader  // that Judge, Caption, Ask, Match and Vectors have their pictures from
	Labels   []string       // of the classes of Classify or Judge; none of a regression
	Texts    []string       // what Classify or Write reads, by names for people: nil is one text
	Passage  bool           // Write is for conversations about a passage
	Decoding decode.Options // how Write, Caption and Answers find texts where nothing else is said

	Classify TextClassifier
	Judge    PictureClassifier
	Write    TextWriter
	Caption  PictureWriter
	Ask      Answerer
	Answers  AnswerWriter // of an Ask that writes answers; nil: it chooses them
	Match    Matcher
	Vectors  Vectors
	// OpenIndex opens an index of pictures; one that another model made is [rank.ErrOtherModel].
	OpenIndex func(dir string) (Index, error)
}

// PictureReader reads pictures as a model sees them.
type PictureReader interface {
	Picture(path string) (*regions.Image, error)                        // a file
	Decode(ctx context.Context, content []byte) (*regions.Image, error) // the content of one
	Limit(pixels int)                                                   // refuses larger ones
	Prepare() error                                                     // opens what sees them, which the first picture waits for otherwise
}

// TextReader reads texts as a model does.
type TextReader interface {
	Encode(text string) (tokens []int32, cut bool)
}

// TextClassifier answers about texts and pairs of them.
type TextClassifier interface {
	Encode(x labelled.Example) (r labelled.Record, cut bool)
	Answer(ctx context.Context, records []labelled.Record, tick Tick) ([]Reply, error)
}

// PictureClassifier answers about pictures with texts.
type PictureClassifier interface {
	TextReader
	Reply(ctx context.Context, pictures []*regions.Image, texts []string, tick Tick) ([]Reply, error)
}

// Reply is what a model says of an input. Of a regression only IsScore and Score are set.
type Reply struct {
	Label         string // the likeliest class
	Class         int    // its number; -1 of an answer that was written
	Probability   float64
	Probabilities []float64 // of every class
	IsScore       bool      // of a regression: Score is the answer
	Score         float64
	Truncated     bool // the text was cut to what the model reads
}

// Decoder writes texts. emit, which may be nil, is called with each piece of the text for a source as soon as it is settled. Rehearsals are what
// [decode.Decoder.Rehearsals] says.
type Decoder interface {
	DecodeAll(ctx context.Context, sources []decode.Source, o decode.Options, emit func(source int, piece string)) ([]Written, error)
	Rehearsals(sources []decode.Source, o decode.Options, all bool) []decode.Rehearsal
}

// Written is a text that a model wrote.
type Written struct {
	Text     string
	Score    float64 // log-probability, with the length penalty
	Finished bool    // the model ended the text itself
	Tokens   int     // of the text
}

// TextWriter writes texts for texts.
type TextWriter interface {
	Decoder
	Source(x seq2seq.Example) (decode.Source, seq2seq.Cut, error)
}

// PictureWriter writes texts for pictures.
type PictureWriter interface {
	Decoder
	Source(im *regions.Image) (decode.Source, error)
}

// Answerer answers questions about pictures, each with its top likeliest answers.
type Answerer interface {
	TextReader
	Ask(ctx context.Context, pictures []*regions.Image, questions []string, top int, tick Tick) ([]Answers, error)
}

// AnswerWriter writes answers to questions about pictures.
type AnswerWriter interface {
	Decoder
	Source(im *regions.Image, question string) (decode.Source, error)
}

// Answers are what a model says of a question.
type Answers struct {
	Question  string
	Best      []Scored // the likeliest first
	Truncated bool     // the question was cut to what the model reads
}

// Scored is an answer with how sure the model is of it, 0 to 1. Those of several answers do not add up to 1: of a model that
// chooses, more than one may be right; one that writes could have written others.
type Scored struct {
	Answer      string  `json:"answer"`
	Probability float64 `json:"probability"`
	Logit       float64 `json:"-"` // that it was made of; 0 of a model that writes
}

// Matcher says how well pictures and texts fit.
type Matcher interface {
	TextReader
	Pairs(ctx context.Context, pictures []*regions.Image, texts rank.Texts, pairs []model.Pair, tick Tick) ([]Matched, error)
}

// Matched is how well a picture and a text fit.
type Matched struct {
	Score       float32 // the higher, the better: it compares texts, or pictures
	Probability float64 // that they fit; see [calibration.Calibration]. 0 without a calibration
	Fits        bool    // the probability reaches the model's threshold; false without a calibration
	Calibrated  bool
	Similarity  bool // the score is one of vectors, -1 to 1
}

// Vectors makes vectors of texts and of pictures in one space, each of the model's contrast size and of length 1, behind each other.
type Vectors interface {
	TextVectors(ctx context.Context, texts rank.Texts, tick Tick) ([]float32, error)
	ImageVectors(ctx context.Context, pictures []*regions.Image, tick Tick) ([]float32, error)
}

// Index finds the pictures that it has.
type Index interface {
	TextReader
	IDs() []string
	Path(id string) string // of the picture's file; "" of region features
	From() string          // what it was made of
	// Candidates is how many pictures the full model puts in order for a text, the best ones by vectors, where nothing else is said.
	Candidates() int
	Search(ctx context.Context, queries []rank.Query) ([][]rank.Found, error)
	Says(x rank.Found) Matched // of what a text found
	Close() error
}

// ForModel returns the task of a model: the one that its configuration names, or else one of its type of problem; nil if there is none.
func (ts Tasks) ForModel(cfg model.Config) *Task {
	for _, fits := range []func(t *Task) bool{
		func(t *Task) bool { return t.Name == cfg.Task && cfg.Task != "" },
		func(t *Task) bool { return t.Kind.Problem() == cfg.ProblemType },
	} {
		if i := slices.IndexFunc(ts, fits); i >= 0 {
			return ts[i]
		}
	}
	return nil
}

// OpenServable opens the model in the folder dir, of the configuration cfg, for a server. It is nil where no kind serves it. [Env.Task] names the
// task of a model for several.
func (ts Tasks) OpenServable(dir string, cfg model.Config, env *Env) (*Task, Servable, error) {
	t := ts.ForModel(cfg)
	if t == nil {
		return nil, nil, nil
	}
	kind, ok := t.Kind.(Evaluator)
	if !ok {
		return nil, nil, nil
	}
	m, err := kind.Open(dir, env)
	if err != nil {
		return nil, nil, err
	}
	s, ok := m.(Servable)
	if !ok {
		return nil, nil, m.Close()
	}
	return t, s, nil
}
