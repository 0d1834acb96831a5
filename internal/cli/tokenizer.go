package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/tokenizer"
)

func (a *app) tokenizerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "tokenizer",
		Short: "Train a vocabulary, encode and decode text",
		Long: `Train a vocabulary, encode and decode text: byte-level byte pair encoding, as
GPT-2 and UNIMO have it. A vocabulary is a folder with encoder.json, vocab.bpe
and vocab.txt (as released with UNIMO), or vocab.json and merges.txt (Hugging
Face); model folders are such folders, too.`,
		Example: `  unimo tokenizer train --out VOCAB --vocab-size 8000 texts.txt
  unimo tokenizer encode --vocab VOCAB "a gripping and funny film"
  unimo tokenizer decode --vocab VOCAB 102 7373 8 7526 822`,
	}
	return group(c, a.tokenizerTrainCommand(), a.tokenizerEncodeCommand(), a.tokenizerDecodeCommand())
}

// trainedVocabulary is what "unimo tokenizer train --json" prints.
type trainedVocabulary struct {
	Out       string `json:"out"`
	VocabSize int    `json:"vocab_size"`
	LowerCase bool   `json:"lower_case"`
	Lines     int    `json:"lines"`
	Bytes     int64  `json:"bytes"` // of text, without the ends of lines
}

func (a *app) tokenizerTrainCommand() *cobra.Command {
	var out string
	var size int
	var options tokenizer.TrainOptions
	c := &cobra.Command{
		Use:   "train --out DIR FILE... | -",
		Short: "Train a vocabulary on text",
		Long: `Train a vocabulary on text files, a text on each line ('-': standard input), and
write it into the new folder DIR. The result depends on the text and the flags only.`,
		Example: `  unimo tokenizer train --out VOCAB --vocab-size 8000 one.txt two.txt
  cut -f1 train.tsv | tail -n +2 | unimo tokenizer train --out VOCAB -`,
		Args: needsSome("FILE..., or '-' for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			if size < tokenizer.MinVocabSize {
				return usagef("--vocab-size is %d, want %d or more, for the bytes and the special tokens", size, tokenizer.MinVocabSize)
			}
			if options.MinFrequency < 1 {
				return usagef("--min-frequency is %d, want 1 or more", options.MinFrequency)
			}
			return a.trainTokenizer(c.Context(), args, out, size, options)
		},
	}
	flags := c.Flags()
	flags.StringVarP(&out, "out", "o", "", "`DIR` to write, which must not exist")
	flags.IntVar(&size, "vocab-size", 8000, "tokens at most, special ones included")
	flags.IntVar(&options.MinFrequency, "min-frequency", 2, "join pairs that occur this often")
	flags.BoolVar(&options.KeepCase, "keep-case", false, "keep upper case; otherwise text is lower-cased, here and when the vocabulary is used")
	c.MarkFlagRequired("out")
	return c
}

func (a *app) trainTokenizer(ctx context.Context, files []string, out string, size int, options tokenizer.TrainOptions) error {
	out, err := newPath(out)
	if err != nil {
		return err
	}
	result := trainedVocabulary{Out: out}
	var readErr error
	texts := func(yield func(string) bool) {
		for _, file := range files {
			readErr = a.eachLine(ctx, file, func(line string) bool {
				result.Lines++
				result.Bytes += int64(len(line))
				return ctx.Err() == nil && yield(line)
			})
			if readErr == nil {
				readErr = ctx.Err()
			}
			if readErr != nil {
				return
			}
		}
	}
	bar := a.newProgress()
	bar.Stage("training the vocabulary")
	options.Progress = bar.Tick
	t, err := tokenizer.Train(ctx, texts, size, options)
	bar.finish()
	if err := errors.Join(readErr, ctx.Err()); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	if err := atomicfile.WriteDir(out, t.Save); err != nil {
		return err
	}
	result.VocabSize, result.LowerCase = t.VocabSize(), t.LowerCase()
	if result.VocabSize < size {
		a.log.Warn(fmt.Sprintf("the text has too few frequent pairs for %d tokens: the vocabulary has %d", size, result.VocabSize))
	}
	if a.json {
		return a.printJSON(result)
	}
	_, err = printable.Fprintf(a.stdout, "%s: %d tokens from %d lines\n", out, result.VocabSize, result.Lines)
	return err
}

// eachLine calls yield for the lines of a file, or of standard input for "-", until
// it returns false.
func (a *app) eachLine(ctx context.Context, file string, yield func(string) bool) error {
	in := a.input(ctx)
	if file == "-" {
		file = standardInput
	} else {
		f, err := infile.OpenText(ctx, file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, textfile.MaxLine)
	n := 0
	for lines.Scan() {
		n++
		if !yield(lines.Text()) {
			return nil
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s:%d: the line is longer than %d MiB; split it", file, n+1, textfile.MaxLine>>20)
	case errors.As(err, new(*infile.Error)):
		return err // which names the file
	case err != nil:
		return fmt.Errorf("%s:%d: %w", file, n+1, err)
	}
	return nil
}

// encoding is a line of "unimo tokenizer encode --json".
type encoding struct {
	IDs    []int32  `json:"ids"`
	Tokens []string `json:"tokens"`
}

func (a *app) tokenizerEncodeCommand() *cobra.Command {
	var vocab string
	var lowerCase, tokens bool
	c := &cobra.Command{
		Use:   "encode --vocab DIR TEXT... | -",
		Short: "Turn texts into ids",
		Long: `Turn texts into ids: those of the command line, or with '-' the lines of standard
input. A line of output is the ids of a text, without special tokens; with --json
one object a line. In printed tokens 'Ġ' is a space.`,
		Example: `  unimo tokenizer encode --vocab VOCAB "a gripping and funny film"
  unimo tokenizer encode --vocab VOCAB --tokens - < texts.txt`,
		Args: needsTexts("TEXT..., or '-' for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := tokenizer.Load(modeldir.Resolve(vocab))
			if err != nil {
				return err
			}
			if c.Flags().Changed("lower-case") {
				t = t.WithLowerCase(lowerCase)
			}
			var ids []int32
			return a.mapTexts(c.Context(), a.stdout, args, func(out *bufio.Writer, text string) error {
				ids = t.Encode(ids[:0], text)
				return a.writeEncoding(out, t, ids, tokens)
			})
		},
	}
	c.Flags().StringVar(&vocab, "vocab", "", "folder of the vocabulary")
	c.Flags().BoolVar(&lowerCase, "lower-case", false, "lower-case the text first (default: as the vocabulary says)")
	c.Flags().BoolVar(&tokens, "tokens", false, "print tokens instead of ids")
	c.MarkFlagRequired("vocab")
	return c
}

func (a *app) writeEncoding(out *bufio.Writer, t *tokenizer.Tokenizer, ids []int32, tokens bool) error {
	if a.json {
		e := encoding{IDs: ids, Tokens: make([]string, len(ids))}
		if ids == nil {
			e.IDs = []int32{} // an empty list rather than null
		}
		for i, id := range ids {
			e.Tokens[i] = t.Token(id)
		}
		return a.printJSON(e)
	}
	for i, id := range ids {
		if i > 0 {
			out.WriteByte(' ')
		}
		if tokens {
			out.WriteString(printable.String(t.Token(id)))
		} else {
			out.WriteString(strconv.Itoa(int(id)))
		}
	}
	return out.WriteByte('\n')
}

// decoding is a line of "unimo tokenizer decode --json".
type decoding struct {
	Text string `json:"text"`
}

func (a *app) tokenizerDecodeCommand() *cobra.Command {
	var vocab string
	c := &cobra.Command{
		Use:   "decode --vocab DIR ID... | -",
		Short: "Turn ids into text",
		Long: `Turn ids into text: the ids of the command line into one text, or with '-' those
of each line of standard input. The bytes of the text are written as they are, but to
a terminal, where control characters are shown as escapes; with --json, one object a line, bytes that are not UTF-8 become U+FFFD.`,
		Example: `  unimo tokenizer decode --vocab VOCAB 102 7373 8 7526 822
  unimo tokenizer decode --vocab VOCAB - < ids.txt`,
		Args: needsSome("ID..., or '-' for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := tokenizer.Load(modeldir.Resolve(vocab))
			if err != nil {
				return err
			}
			if len(args) > 1 || args[0] != "-" {
				args = []string{strings.Join(args, " ")}
			}
			line := 0
			return a.mapTexts(c.Context(), a.stdout.exact(), args, func(out *bufio.Writer, text string) error {
				line++
				ids, err := parseIDs(text)
				if err == nil {
					err = t.Check(ids)
				}
				if err != nil {
					return fmt.Errorf("line %d of ids: %w", line, err)
				}
				if a.json {
					return a.printJSON(decoding{t.DecodeString(ids)})
				}
				out.Write(t.Decode(nil, ids))
				return out.WriteByte('\n')
			})
		},
	}
	c.Flags().StringVar(&vocab, "vocab", "", "folder of the vocabulary")
	c.MarkFlagRequired("vocab")
	return c
}

func parseIDs(text string) (ids []int32, err error) {
	for field := range strings.FieldsSeq(text) {
		id, err := strconv.ParseInt(field, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is not an id; give whole numbers with spaces between", field)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

// mapTexts calls write for every text: args, or for the argument "-" the lines of
// standard input. What write prints goes to to, before more input is waited for.
func (a *app) mapTexts(ctx context.Context, to io.Writer, args []string, write func(out *bufio.Writer, text string) error) error {
	out := bufio.NewWriter(to)
	each := func(texts []string) error {
		for _, text := range texts {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := write(out, text); err != nil {
				return errors.Join(err, out.Flush())
			}
		}
		return out.Flush()
	}
	if len(args) != 1 || args[0] != "-" {
		return each(args)
	}
	in := bufio.NewReader(a.input(ctx))
	for first := 1; ; {
		lines, err := readLines(in, standardInput, predictChunk, first)
		if err != nil || len(lines) == 0 {
			return err
		}
		if err := each(lines); err != nil {
			return err
		}
		first += len(lines)
	}
}
