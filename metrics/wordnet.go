package metrics

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// WordNet is what scores use of a dictionary: which words are synonyms, and the base forms of
// irregular ones ("went" is of "go"). [OpenWordNet] makes it. A nil WordNet knows no words. It does
// not change: any number of goroutines may use it.
type WordNet struct {
	synsets map[string][]synset
	bases   map[string][]string
	// paraphrases are METEOR's, or nil.
	paraphrases *paraphrases
}

// synset is a set of synonyms: its place in WordNet's data file, and which file.
type synset uint32

// partsOfSpeech are WordNet's files in the order in which ROUGE-1.5.5 read their
// irregular forms: of a form in several, the last one's first base counts there.
var partsOfSpeech = []string{"adj", "adv", "noun", "verb"}

// maxDictionaryLine bounds a line of the files, in bytes; WordNet's longest are below 2000.
const maxDictionaryLine = 1 << 20

// OpenWordNet reads a dictionary, from one of two:
//
//   - the folder "dict" of WordNet's database (1.6 to 3.1): index.noun, index.verb, index.adj and
//     index.adv have the synonyms, noun.exc, verb.exc, adj.exc and adv.exc the irregular forms;
//     what is absent is not known;
//   - a text file with a group of synonyms a line, in lower case, with white space between ("big
//     large"); a word may stand in several groups.
//
// Errors are [*FileError].
func OpenWordNet(path string) (*WordNet, error) {
	w := &WordNet{synsets: map[string][]synset{}, bases: map[string][]string{}}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		if err := readFile(path, w.readGroups); err != nil {
			return nil, err
		}
		return w, nil
	}
	if err := infile.Folder(path); err != nil {
		return nil, err
	}
	found := false
	for pos, name := range partsOfSpeech {
		index := func(r io.Reader, file string) error { return w.readIndex(r, file, pos) }
		for file, read := range map[string]func(io.Reader, string) error{"index." + name: index, name + ".exc": w.readExceptions} {
			switch err := readFile(filepath.Join(path, file), read); {
			case err == nil:
				found = true
			case !errors.Is(err, fs.ErrNotExist):
				return nil, err
			}
		}
	}
	if !found {
		return nil, &FileError{File: path, Problem: "holds neither index.noun nor any other file of WordNet", Remedy: `name the folder "dict" of its database`}
	}
	return w, nil
}

func readFile(path string, read func(r io.Reader, file string) error) error {
	f, err := infile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(infile.Text(f, path), path)
}

// eachLine calls use for the fields of every line that has some and does not begin
// with a space, as the lines of WordNet's licence do. It adds file and line to what use finds wrong.
func eachLine(r io.Reader, file string, use func(fields []string) *FileError) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxDictionaryLine)
	n := 0
	for lines.Scan() {
		n++
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(lines.Text(), " ") {
			continue
		}
		if err := use(fields); err != nil {
			err.File, err.Line = file, n
			return err
		}
	}
	switch err := lines.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, bufio.ErrTooLong):
		return &FileError{File: file, Line: n + 1, Problem: fmt.Sprintf("the line is longer than %d bytes", maxDictionaryLine), Remedy: "name a dictionary in WordNet's form"}
	case errors.As(err, new(*FileError)):
		return err
	default:
		return &FileError{File: file, Line: n + 1, Problem: "cannot be read on: " + err.Error(), Err: err}
	}
}

// readIndex reads an index file: word, part of speech, number of synsets, number of
// pointers, pointers, two numbers, and the places of the synsets.
func (w *WordNet) readIndex(r io.Reader, file string, pos int) error {
	return eachLine(r, file, func(fields []string) *FileError {
		const remedy = "give an index file of WordNet's database"
		if len(fields) < 4 {
			return &FileError{Problem: fmt.Sprintf("%d fields instead of a word, its part of speech and its synsets", len(fields)), Remedy: remedy}
		}
		n, err := strconv.Atoi(fields[2])
		if err != nil || n < 1 || n > len(fields)-3 {
			return &FileError{Problem: fmt.Sprintf("%q is not the number of synsets that the line has", fields[2]), Remedy: remedy}
		}
		sets := make([]synset, n)
		for i, place := range fields[len(fields)-n:] {
			p, err := strconv.ParseUint(place, 10, 27)
			if err != nil {
				return &FileError{Problem: fmt.Sprintf("%q is not the place of a synset", place), Remedy: remedy}
			}
			sets[i] = synset(pos)<<27 | synset(p)
		}
		word := strings.ToLower(fields[0])
		w.synsets[word] = append(w.synsets[word], sets...)
		return nil
	})
}

// readExceptions reads an .exc file: an irregular form and its bases.
func (w *WordNet) readExceptions(r io.Reader, file string) error {
	return eachLine(r, file, func(fields []string) *FileError {
		if len(fields) < 2 {
			return &FileError{Problem: fmt.Sprintf("the form %q has no base", fields[0]), Remedy: "give an .exc file of WordNet's database"}
		}
		// In front of the bases from earlier files; see partsOfSpeech.
		w.bases[fields[0]] = slices.Concat(fields[1:], w.bases[fields[0]])
		return nil
	})
}

// readGroups reads a file of synonyms.
func (w *WordNet) readGroups(r io.Reader, file string) error {
	group := synset(0)
	return eachLine(r, file, func(fields []string) *FileError {
		for _, word := range fields {
			w.synsets[word] = append(w.synsets[word], group)
		}
		group++
		return nil
	})
}

// base returns the base that ROUGE takes for an irregular form.
func (w *WordNet) base(form string) (base string, irregular bool) {
	if w == nil || len(w.bases[form]) == 0 {
		return form, false
	}
	return w.bases[form][0], true
}

// senses returns the synsets of a word and of its base forms.
func (w *WordNet) senses(word string) []synset {
	if w == nil {
		return nil
	}
	sets := slices.Clone(w.synsets[word])
	bases := w.bases[word]
	if len(bases) == 0 {
		bases = w.regularBase(word)
	}
	for _, b := range bases {
		sets = append(sets, w.synsets[b]...)
	}
	return sets
}

// Synonyms says whether two words in lower case, or base forms of them, share a meaning: "large"
// and "big", "cars" and "automobile".
func (w *WordNet) Synonyms(a, b string) bool {
	of := w.senses(b)
	return slices.ContainsFunc(w.senses(a), func(s synset) bool { return slices.Contains(of, s) })
}

// endings are what WordNet detaches from nouns, verbs and adjectives, and what it puts
// in their place.
var endings = [][2]string{
	{"s", ""}, {"ses", "s"}, {"xes", "x"}, {"zes", "z"}, {"ches", "ch"}, {"shes", "sh"}, {"men", "man"}, {"ies", "y"},
	{"es", "e"}, {"es", ""}, {"ed", "e"}, {"ed", ""}, {"ing", "e"}, {"ing", ""},
	{"er", ""}, {"est", ""}, {"er", "e"}, {"est", "e"},
}

// regularBase returns the first form without a regular ending that is a word; of "spoonsful" that is
// "spoon", and the base is "spoonful".
func (w *WordNet) regularBase(word string) []string {
	word, full := strings.CutSuffix(word, "ful")
	ful := ""
	if full {
		ful = "ful"
	}
	if len(word) <= 2 || strings.HasSuffix(word, "ss") {
		return nil
	}
	for _, e := range endings {
		if stem, ok := strings.CutSuffix(word, e[0]); ok {
			if _, known := w.synsets[stem+e[1]]; known {
				return []string{stem + e[1] + ful}
			}
		}
	}
	return nil
}
