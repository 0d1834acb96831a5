package write

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/tokenizer"
)

// textForms are the values of --texts.
var textForms = map[string]seq2seq.Texts{"auto": seq2seq.TextsAuto, "text": seq2seq.TextsPlain, "ids": seq2seq.TextsIDs}

// textSettings say what a TSV file holds.
type textSettings struct {
	Texts string `json:"texts" help:"what a TSV file holds: text, ids (of tokens), or auto to look"`
}

func (s *textSettings) validate() error {
	if _, ok := textForms[s.Texts]; !ok {
		return names.Unknown("form of texts", s.Texts, []string{"auto", "text", "ids"})
	}
	return nil
}

// PrepareSettings are what can be set about preparing data.
type PrepareSettings struct {
	run.SplitSettings
	IDs   bool   `json:"ids" help:"write the reference's TSV of ids instead of JSON lines"`
	Vocab string `json:"vocab" help:"folder of the vocabulary for --ids"`
	textSettings
}

// Validate implements [run.Flags].
func (s *PrepareSettings) Validate(given func(key string) bool) error {
	if err := cmp.Or(s.SplitSettings.Validate(given), s.validate()); err != nil {
		return err
	}
	if s.IDs != (s.Vocab != "") {
		return fmt.Errorf("--ids needs --vocab, the vocabulary to write ids of, and the other way round")
	}
	return nil
}

// PrepareSettings implements [run.Preparer].
func (k *Kind) PrepareSettings() run.Flags {
	return &PrepareSettings{SplitSettings: run.SplitSettings{Seed: 1}, textSettings: textSettings{"auto"}}
}

// preparation is what "unimo data prepare --json" prints.
type preparation struct {
	Task   string             `json:"task"`
	Out    string             `json:"out"`
	Splits []seq2seq.Prepared `json:"splits"`
}

// Prepare implements [run.Preparer].
func (k *Kind) Prepare(ctx context.Context, t *run.Task, src, dst string, settings run.Flags, env *run.Env) (run.Prepared, error) {
	s := settings.(*PrepareSettings)
	left := &run.LeftOut{Log: env.Log}
	opt := seq2seq.PrepareOptions{
		Fraction: s.Split, Seed: s.Seed, Texts: textForms[s.Texts], Problem: left.Problem,
		Stage: env.Observer.Stage, Tick: func(n int) { env.Observer.Tick(n, -1) },
	}
	if s.IDs {
		vocabulary, err := tokenizer.Load(modeldir.Resolve(s.Vocab))
		if err != nil {
			return nil, err
		}
		opt.Coder = vocabulary
	}
	splits, err := seq2seq.Prepare(ctx, k.Data, src, dst, opt)
	if err != nil {
		return nil, err
	}
	left.Done(": see 'unimo data validate'")
	return &preparation{Task: k.Data.Name, Out: dst, Splits: splits}, nil
}

// Print implements [run.Prepared].
func (p *preparation) Print(w io.Writer, _ *slog.Logger) {
	for _, s := range p.Splits {
		printable.Fprintf(w, "%s: %d examples from %s (%s)%s\n", filepath.Join(p.Out, s.File), s.Examples, s.Source, s.Kind, leftOut(s.Skipped, s.InvalidUTF8))
	}
}

// leftOut lists what was skipped and what is odd.
func leftOut(skipped map[string]int, invalid int) string {
	var b strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(skipped)) {
		fmt.Fprintf(&b, "; left out: %d %s", skipped[reason], reason)
	}
	if invalid > 0 {
		fmt.Fprintf(&b, "; %d with bytes that are not UTF-8", invalid)
	}
	return b.String()
}

// CheckSettings are what can be set about looking through files.
type CheckSettings struct {
	Vocab string `json:"vocab" help:"folder of the vocabulary to count tokens with"`
	Model string `json:"model" help:"folder of the model to count tokens for: its vocabulary, its positions"`
	textSettings
}

// Validate implements [run.Flags].
func (s *CheckSettings) Validate(func(key string) bool) error { return s.validate() }

// CheckSettings implements [run.Checker].
func (k *Kind) CheckSettings() run.Flags { return &CheckSettings{textSettings: textSettings{"auto"}} }

// checked is what was found in files.
type checked struct {
	seq2seq.Validation
	encoder seq2seq.Encoder
}

// Check implements [run.Checker].
func (k *Kind) Check(ctx context.Context, _ *run.Task, path string, settings run.Flags, env *run.Env) (run.Checked, error) {
	s, t := settings.(*CheckSettings), k.Data
	cfg := model.Base
	vocab := s.Vocab
	if s.Model != "" {
		vocab = modeldir.Resolve(s.Model)
		var err error
		if cfg, err = modeldir.ReadConfig(vocab); err != nil {
			return nil, fmt.Errorf("model %s: %w", vocab, err)
		}
	}
	opt := seq2seq.ValidateOptions{
		Texts: textForms[s.Texts], MaxProblems: run.ShownProblems, Stage: env.Observer.Stage, Tick: func(n int) { env.Observer.Tick(n, -1) },
		Encoder: seq2seq.Encoder{
			Dialogue: t.Dialogue, MaxSource: t.MaxSource, MaxTarget: t.MaxTarget, TurnTypes: cmp.Or(cfg.TurnTypes, dialogueTurns), MaxPositions: cfg.MaxPositions,
		},
	}
	if vocab != "" {
		vocabulary, err := tokenizer.Load(modeldir.Resolve(vocab))
		if err != nil {
			return nil, err
		}
		if err := opt.Encoder.Check(); err != nil {
			return nil, fmt.Errorf("model %s: %w", vocab, err)
		}
		opt.Encoder.Tokenizer = vocabulary
	}
	v, err := seq2seq.Validate(ctx, t, path, opt)
	if err != nil {
		return nil, err
	}
	return &checked{v, opt.Encoder}, nil
}

// NumProblems implements [run.Checked].
func (c *checked) NumProblems() int { return c.ProblemCount }

// Print implements [run.Checked].
func (c *checked) Print(w io.Writer, _ *slog.Logger) {
	v, e := c.Validation, c.encoder
	run.PrintProblems(w, v.Problems, v.ProblemCount)
	for _, f := range v.Files {
		kind := cmp.Or(f.Kind, "of no known kind")
		printable.Fprintf(w, "%s: %s (%s): %d examples", f.Split, f.File, kind, f.Examples)
		if f.Groups > 0 {
			fmt.Fprintf(w, " in %d groups", f.Groups)
		}
		fmt.Fprintln(w, leftOut(f.Skipped, f.InvalidUTF8))
		printLengths(w, "source", f.Source)
		printLengths(w, "target", f.Target)
		if f.Truncated != nil {
			fmt.Fprintf(w, "  cut at %d tokens of a source: %d; at %d of a target: %d", e.MaxSource, f.Truncated.Source, e.MaxTarget, f.Truncated.Target)
			if e.Dialogue {
				fmt.Fprintf(w, "; old turns dropped: %d", f.Truncated.Turns)
			}
			fmt.Fprintln(w)
		}
	}
	for _, s := range v.Shared {
		printable.Fprintf(w, "%s and %s share %d examples and %d groups\n", s.Splits[0], s.Splits[1], s.Examples, s.Groups)
	}
}

func printLengths(w io.Writer, side string, l seq2seq.TextLengths) {
	for _, unit := range []struct {
		name string
		d    *seq2seq.Distribution
	}{{"characters", l.Characters}, {"words", l.Words}, {"tokens", l.Tokens}} {
		if d := unit.d; d != nil {
			printable.Fprintf(w, "  %s %-10s min %-6d median %-6d 95 %% %-6d max %d\n", side, unit.name, d.Min, d.Median, d.P95, d.Max)
		}
	}
}
