package backend

import (
	"context"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/run"
)

// Models are the models of a server. A reload may change them at any time.
type Models interface {
	// Model returns the model of that name, "" the first. An unknown name is an [*Error] of kind [NotFound].
	Model(name string) (Model, error)
	// List describes the models, the first before the others by name.
	List() []Info
	// Loaded returns an [*Error] of kind [Unavailable] while not all models answer: they are being loaded, or their device was lost.
	Loaded() error
	// Ready is Loaded, and such an error, too, while the server drains. It answers then, and should not be sent more.
	Ready() error
}

// Model is one model. Its methods are safe for concurrent use: requests wait in the model's queue, and go through the model together.
// Errors are [*Error]s, also where a model does not do what it is asked ([Cannot]) and where the context ended ([Canceled]).
// A model that a reload replaced goes on with what it was asked before; hold one for a request, not longer.
type Model interface {
	Info() Info
	// Embed returns a vector for each item.
	Embed(ctx context.Context, items []Item, o EmbedOptions) (Embeddings, error)
	// EmbedTokens returns a vector for each token of each item, also for those that stand around it. Of the options Prompt and Strict count.
	EmbedTokens(ctx context.Context, items []Item, o EmbedOptions) ([][][]float32, Usage, error)
	// Score says how well each document fits the query.
	Score(ctx context.Context, query Item, documents []Item) (Scores, error)
	// Classify answers about inputs, in their order.
	Classify(ctx context.Context, inputs []Input) ([]run.Reply, Usage, error)
	// Generate writes a text. emit, which may be nil, gets its pieces as they are settled; its error ends the work and is returned.
	Generate(ctx context.Context, r GenerateRequest, emit func(piece string) error) (Generated, error)
	Caption(ctx context.Context, picture []byte, o Decoding) (Generated, error)
	// Ask answers a question about a picture with the k likeliest answers.
	Ask(ctx context.Context, picture []byte, question string, k int) (run.Answers, Usage, error)
	// Search returns the k pictures of the model's index that fit the query best, a text or a picture.
	Search(ctx context.Context, query Item, k int) ([]Found, Usage, error)
	// Pictures lists up to k pictures of the index from number first on, and says how many there are.
	Pictures(ctx context.Context, first, k int) (ids []string, total int, err error)
	// Picture returns the content of a picture of the index. An unknown id is an [*Error] of kind [NotFound].
	Picture(ctx context.Context, id string) ([]byte, error)
	// Prompt is the text that is put before every text by one of [Details.Prompts]; "" is the default, which may be none.
	Prompt(ctx context.Context, name string) (string, error)
	// Tokenize cuts a text into tokens; special adds those that stand around it when the model reads it.
	Tokenize(ctx context.Context, text string, special bool) ([]Token, error)
	// Detokenize returns the text of tokens; special keeps those that stand for no text.
	Detokenize(ctx context.Context, ids []int, special bool) (string, error)
}

// Item is a text, a text as token ids, or a picture: exactly one is set, and Tokens that are not nil count.
type Item struct {
	Text    string
	Tokens  []int
	Picture []byte // content of a JPEG, PNG, GIF or WebP file
}

// Input is a text, a pair of texts, or a picture with a text.
type Input struct {
	Text, Pair string
	Picture    []byte
}

// Usage is what a request gave the model to read.
type Usage struct{ Tokens, Pictures int }

// EmbedOptions say how vectors are made; the zero value is as the model's folder says.
type EmbedOptions struct {
	Dimensions int    // keep so many values of each vector, of length 1 again; 0: all
	Normalize  *bool  // vectors of length 1, or as they are
	Prompt     string // name of one of [Details.Prompts] that is put before every text; "": the default
	Strict     bool   // a text that is longer than the model reads is an error; else it is cut
}

// Embeddings are the vectors of items, in their order.
type Embeddings struct {
	Vectors   [][]float32
	Truncated []bool // the text was cut to what the model reads
	Usage     Usage
}

// Scores are those of documents, in their order.
type Scores struct {
	List       []Score
	Similarity bool // values are similarities of vectors, -1 to 1; else what the full model says of a pair, any number
	Usage      Usage
}

// Score is how well a document fits a query.
type Score struct {
	Value      float64 // the higher, the better: it compares documents
	Calibrated bool    // then Probability and Fits count
	// Probability is that the two fit; Fits says that it reaches the model's threshold.
	Probability float64
	Fits        bool
	Truncated   bool
}

// GenerateRequest is what a text is written for.
type GenerateRequest struct {
	Texts    []string // one text, or what the model's task reads: answer and passage, the turns of a conversation
	Passage  string   // what a conversation is about; only of models for conversations
	Strict   bool     // texts that are longer than the model reads are an error; else they are cut
	Decoding Decoding
}

// Decoding says how a text is found; what is nil is as the model was fine-tuned for.
type Decoding struct {
	Beam          *int     `json:"beam,omitempty"`
	LengthPenalty *float64 `json:"length_penalty,omitempty"`
	MinLength     *int     `json:"min_length,omitempty"`
	MaxLength     *int     `json:"max_length,omitempty"`
	BlockTrigrams *bool    `json:"block_trigrams,omitempty"`
	Sample        *bool    `json:"sample,omitempty"`
	Temperature   *float64 `json:"temperature,omitempty"`
	TopK          *int     `json:"top_k,omitempty"`
	TopP          *float64 `json:"top_p,omitempty"`
	Seed          *uint64  `json:"seed,omitempty"`
}

// Generated is a text that a model wrote.
type Generated struct {
	Text     string
	Score    float64 // log-probability, divided by the length penalty
	Finished bool    // the model ended it; else it is cut at the greatest length
	Usage    Usage   // what was read
	Written  int     // tokens of the text
}

// Found is a picture that a search found.
type Found struct {
	ID         string // its name in the index
	Similarity float64
	Score      Score // of the full model
	Ranked     bool  // Score counts: the picture was among the candidates that the full model ordered
}

// Token is a token of a text.
type Token struct {
	ID          int
	Text        string
	Special     bool // it stands around texts, and for none of their bytes
	Start, Stop int  // the bytes of the text that it is of; -1 where that is not known
}

// Info is what a model is.
type Info struct {
	ID          string // its name in requests
	Dir         string
	Problem     string // what it was trained for, as its folder says
	Fingerprint string // of its weights and configuration
	Created     time.Time
	Dimension   int      // of its vectors; 0: none
	MaxTokens   int      // that it reads of a text
	Labels      []string // its classes
	Can         Capability
	Details     Details
}

// Details are what people want to know besides.
type Details struct {
	Title      string   // for people, of what it was trained for
	Task       string   // that it was trained for, such as "sst-2"
	Tasks      []string // of a model for several; "ID/TASK" is a model with one of them alone
	Card       string   // its README.md, which has its scores; of the whole of a model for several tasks alone
	Parameters int64
	Layers     int
	Hidden     int // size of its rows
	Vocabulary int // entries

	Pooling    []string
	Normalized bool     // vectors have length 1 unless asked otherwise
	Prompts    []string // names
	Encoder    bool     // vectors are of the encoder of a model that was trained for something else

	ReadsPair  bool     // Classify wants two texts
	Texts      []string // what Generate wants: "text", or "answer" and "passage"
	Passage    bool     // Generate is for conversations about a passage
	Decoding   Decoding // of a model that writes: every field is set
	Calibrated bool     // scores have probabilities
	Index      *Index   // that it searches
}

// Index is what a model searches.
type Index struct {
	Pictures int
	Source   string // the name of the folder or file that they are from, not where it is
}

// Capability is a set of what a model can do.
type Capability uint

// What models can do; each is a method of [Model].
const (
	CanEmbedText Capability = 1 << iota
	CanEmbedPicture
	CanScore // texts with a text
	CanMatch // pictures with texts
	CanClassify
	CanClassifyPicture
	CanGenerate
	CanCaption
	CanAsk
	CanSearch
)

var capabilityNames = []string{"embed_text", "embed_picture", "score", "match", "classify", "classify_picture", "generate", "caption", "ask", "search"}

// pictured is what pictures are needed for.
const pictured = CanEmbedPicture | CanMatch | CanClassifyPicture | CanCaption | CanAsk

// Has says whether all of what is in the set.
func (c Capability) Has(what Capability) bool { return c&what == what }

// Names lists what is in the set.
func (c Capability) Names() []string {
	var list []string
	for i, name := range capabilityNames {
		if c&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

func (c Capability) String() string { return strings.Join(c.Names(), ", ") }
