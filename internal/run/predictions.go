package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
)

// predictionFiles are the files that hold what was predicted for a split.
func (p *Preset) predictionFiles(split string) []string {
	switch {
	case p.Generation != nil:
		return []string{split + ".txt", split + ".jsonl"}
	case p.Retrieval != nil:
		return []string{split + ".images.jsonl", split + ".texts.jsonl"}
	}
	return []string{split + ".reference.tsv", split + ".glue.tsv"}
}

// checkPredictions refuses a folder that holds anything but the files that will be written: it
// could be that of the data.
func (p *Preset) checkPredictions(dir string, files []splitFile) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("folder of predictions: %w", err)
	}
	var own []string
	for _, f := range files {
		own = append(own, p.predictionFiles(f.Split)...)
	}
	there := 0
	for _, e := range entries {
		switch {
		case infile.Hidden(e.Name()):
		case e.Type().IsRegular() && slices.Contains(own, e.Name()):
			there++
		default:
			return fmt.Errorf("%s holds %s: name a new folder for the predictions, or an empty one", dir, e.Name())
		}
	}
	if there > 0 && there < len(own) {
		return fmt.Errorf("%s holds files that may be others' (%s are not all there): name a new folder for the predictions, or an empty one", dir, own)
	}
	return nil
}

// writeResults writes what was predicted for every result into the folder dir: of classes and
// scores SPLIT.reference.tsv and SPLIT.glue.tsv, of texts SPLIT.txt and SPLIT.jsonl, of retrieval
// SPLIT.images.jsonl and SPLIT.texts.jsonl.
func (p *Preset) writeResults(dir string, results []Result) error {
	for _, r := range results {
		write := func() error { return writePredictions(r.Preset, dir, r.Split, r.Examples, r.Outputs) }
		switch {
		case p.Generation != nil:
			write = func() error { return writeTexts(dir, r.Split, r.Generated) }
		case p.Retrieval != nil:
			write = func() error { return writeRanking(dir, r.Split, r.Retrieved) }
		}
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// foundImage and foundText are what was found for a query, the best first.
type foundImage struct {
	Image string  `json:"image"`
	Score float32 `json:"score"`
}

type foundText struct {
	Text  string  `json:"text"`
	Image string  `json:"image"` // that the text is of
	Score float32 `json:"score"`
}

// writeRanking writes SPLIT.images.jsonl, the images found for each text, and SPLIT.texts.jsonl,
// the texts found for each image: the best of them.
func writeRanking(dir, split string, r *Retrieved) error {
	ids := r.Set.Images.IDs
	err := writeLines(dir, split+".images.jsonl", len(r.Texts), func(text int) any {
		line := struct {
			Text  string       `json:"text"`
			Image string       `json:"image"` // the right one
			Found []foundImage `json:"found"`
		}{r.Texts[text], ids[r.Set.ImageOf[text]], []foundImage{}}
		for _, h := range r.Outcome.Images[text] {
			line.Found = append(line.Found, foundImage{ids[h.Number], h.Score})
		}
		return line
	})
	if err != nil {
		return err
	}
	return writeLines(dir, split+".texts.jsonl", len(ids), func(image int) any {
		line := struct {
			Image string      `json:"image"`
			Found []foundText `json:"found"`
		}{ids[image], []foundText{}}
		for _, h := range r.Outcome.Texts[image] {
			line.Found = append(line.Found, foundText{r.Texts[h.Number], ids[r.Set.ImageOf[h.Number]], h.Score})
		}
		return line
	})
}

// writeLines writes n lines of JSON to a file in dir, which is made if need be.
func writeLines(dir, name string, n int, line func(i int) any) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	return atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		for i := range n {
			if err := enc.Encode(line(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// writePredictions writes SPLIT.reference.tsv and SPLIT.glue.tsv into dir.
func writePredictions(p *Preset, dir, split string, examples []labelled.Example, out Outputs) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	list := predictions(p, examples, out)
	if err := labelled.WriteReference(filepath.Join(dir, split+".reference.tsv"), list); err != nil {
		return err
	}
	return labelled.WriteSubmission(filepath.Join(dir, split+".glue.tsv"), list, p.submission())
}

// predictions returns what prediction files hold.
func predictions(p *Preset, examples []labelled.Example, out Outputs) []labelled.Prediction {
	list := make([]labelled.Prediction, len(out))
	for i, logits := range out {
		list[i] = labelled.Prediction{ID: examples[i].ID, Score: logits[0]}
		if !p.Schema.Regression {
			list[i].Class = argmax(logits)
			for _, prob := range softmax(logits) {
				list[i].Probs = append(list[i].Probs, float32(prob))
			}
		}
	}
	return list
}

// submission is the form of the task's file for GLUE's server.
func (p *Preset) submission() labelled.Submission {
	s := labelled.Submission{Names: p.Submission, Regression: p.Schema.Regression, MinScore: p.Schema.MinScore, MaxScore: p.Schema.MaxScore}
	if s.Names == nil {
		s.Names = p.Schema.Labels
	}
	return s
}
