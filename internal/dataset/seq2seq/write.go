package seq2seq

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

// WriteJSONLines writes examples as JSON lines, with everything but their places; of a
// dialogue as turns and knowledge. Bytes that are not UTF-8 become U+FFFD.
func WriteJSONLines(w io.Writer, examples []Example, dialogue bool) error {
	for i := range examples {
		x := &examples[i]
		l := jsonLine{ID: x.ID, References: x.References, Domain: x.Domain, Group: x.Group, Turn: x.Turn, IDs: x.IDs}
		if dialogue {
			l.Turns, l.Knowledge = x.Sources, x.Knowledge
		} else {
			l.Source = x.Sources
		}
		if x.HasTarget {
			l.Target = &x.Target
		}
		raw, err := marshal(l)
		if err != nil {
			return x.fail(err.Error(), "correct it")
		}
		if len(raw) >= textfile.MaxLine {
			return x.fail(fmt.Sprintf("makes a line of %d bytes, more than %d", len(raw), textfile.MaxLine), "remove it")
		}
		if _, err := w.Write(append(raw, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// Coder is what writing ids needs of a vocabulary.
type Coder interface {
	Encode(dst []int32, text string) []int32
	// VocabLine returns the BPE id of id in decimal, or a special token's name.
	VocabLine(id int32) string
}

// WriteTSV writes examples in the reference's form: columns src (of several: src1, src2,
// ...), knowledge for a dialogue, and tgt; of coder's BPE ids, or of text if it is nil. Ids, references,
// domains, groups and turn numbers are lost. In text, white space other than spaces
// becomes a space, since a line ends an example and a tab a column.
//
// An example that cannot be written is an error: a turn that holds the separator of turns, an
// empty text among ids, ids among text, a NUL byte, another number of sources than the first has.
func WriteTSV(w io.Writer, examples []Example, dialogue bool, coder Coder) error {
	if len(examples) == 0 {
		return fmt.Errorf("no examples to write")
	}
	width := 1
	var header []string
	if dialogue {
		header = []string{"src", "knowledge", "tgt"}
	} else if width = len(examples[0].Sources); width == 1 {
		header = []string{"src", "tgt"}
	} else {
		for i := range width {
			header = append(header, "src"+strconv.Itoa(i+1))
		}
		header = append(header, "tgt")
	}
	if _, err := fmt.Fprintln(w, strings.Join(header, "\t")); err != nil {
		return err
	}
	t := tsvWriter{coder: coder, first: examples[0].IDs}
	for i := range examples {
		fields, err := t.fields(&examples[i], dialogue, width)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, strings.Join(fields, "\t")); err != nil {
			return err
		}
	}
	return nil
}

type tsvWriter struct {
	coder   Coder
	first   bool // the first example is of ids
	ids     []int32
	passage [2]string // the last one and how it was written: the questions of a conversation share it
}

func (t *tsvWriter) fields(x *Example, dialogue bool, width int) ([]string, error) {
	if x.IDs != t.first && t.coder == nil {
		return nil, x.fail("is of ids and others are of text", "write ids, or JSON lines")
	}
	var sources []string
	for _, s := range x.Sources {
		text, err := t.text(x, s)
		if err != nil {
			return nil, err
		}
		if dialogue && strings.Contains(text, strings.TrimSpace(TurnSeparator)) && !x.IDs && t.coder == nil {
			return nil, x.fail(fmt.Sprintf("the turn %s holds [SEP], which separates turns", textfile.Quote(s)), "remove it from the text, or write JSON lines")
		}
		sources = append(sources, text)
	}
	target := ""
	var err error
	if x.HasTarget {
		if target, err = t.text(x, x.Target); err != nil {
			return nil, err
		}
	}
	if !dialogue {
		if len(sources) != width {
			return nil, x.fail(fmt.Sprintf("has %d sources, the first example has %d", len(sources), width), "give all the same number, or write JSON lines")
		}
		return append(sources, target), nil
	}
	if x.Knowledge == "" {
		t.passage = [2]string{}
	} else if x.Knowledge != t.passage[0] || x.IDs {
		written, err := t.text(x, x.Knowledge)
		if err != nil {
			return nil, err
		}
		t.passage = [2]string{x.Knowledge, written}
	}
	return []string{strings.Join(sources, TurnSeparator), t.passage[1], target}, nil
}

// oneLine makes spaces of what would end a column or a line.
var oneLine = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

// text returns a text as it is written.
func (t *tsvWriter) text(x *Example, s string) (string, error) {
	if x.IDs {
		return s, nil
	}
	if t.coder == nil {
		if strings.Contains(s, "\x00") {
			return "", x.fail("a text has a NUL byte", "remove it")
		}
		return oneLine.Replace(s), nil
	}
	t.ids = t.coder.Encode(t.ids[:0], s)
	if len(t.ids) == 0 {
		return "", x.fail("a text is empty, and a list of ids cannot be", "complete it, or write text")
	}
	pieces := make([]string, len(t.ids))
	for i, id := range t.ids {
		pieces[i] = t.coder.VocabLine(id)
	}
	return strings.Join(pieces, " "), nil
}
