package metrics

import (
	"archive/zip"
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// paraphrases are phrases that METEOR's table holds for alike.
type paraphrases struct {
	longest int                   // words of a phrase
	of      map[string][][]string // in the order of the table, by the words with spaces between
}

// find calls use for all places where words from i on, n of them, have a paraphrase in other, from j on, m words long.
func (p *paraphrases) find(words, other []*meteorWord, use func(i, n, j, m int)) {
	for i := range words {
		key := ""
		for n := 1; n <= p.longest && i+n <= len(words); n++ {
			if n > 1 {
				key += " "
			}
			key += words[i+n-1].text
			for _, phrase := range p.of[key] {
				for j := range len(other) - len(phrase) + 1 {
					if begins(other[j:], phrase) {
						use(i, n, j, len(phrase))
					}
				}
			}
		}
	}
}

func begins(words []*meteorWord, phrase []string) bool {
	for k, w := range phrase {
		if words[k].text != w {
			return false
		}
	}
	return true
}

// OpenMETEOR reads the data of METEOR 1.5 from its folder, which has meteor-1.5.jar and
// data/paraphrase-en.gz, as that of pycocoevalcap does: its synonyms, and of its table of paraphrases those
// whose words are in the texts that are to be scored. With them [METEOR] of these texts is the program's own.
// The data are not part of this module. Errors are [*FileError].
func OpenMETEOR(dir string, hyps []string, refs [][]string) (*WordNet, error) {
	w := &WordNet{synsets: map[string][]synset{}, bases: map[string][]string{}}
	if err := infile.Folder(dir); err != nil {
		return nil, err
	}
	if err := w.readJar(filepath.Join(dir, "meteor-1.5.jar")); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for i := range hyps {
		for _, text := range append(slices.Clone(refs[i]), hyps[i]) {
			for _, t := range meteorTokens(text) {
				known[t] = true
			}
		}
	}
	w.paraphrases = &paraphrases{of: map[string][][]string{}}
	return w, w.paraphrases.open(filepath.Join(dir, "data", "paraphrase-en.gz"), known)
}

func (p *paraphrases) open(path string, known map[string]bool) error {
	f, err := infile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return &FileError{File: path, Problem: "is not compressed with gzip: " + err.Error(), Remedy: "fetch METEOR 1.5 again", Err: err}
	}
	return p.read(z, path, known)
}

// readJar reads METEOR's synonyms: a word in one line, its synsets or irregular forms in the next.
func (w *WordNet) readJar(path string) error {
	f, err := infile.Open(path)
	if err != nil {
		return err
	}
	f.Close()
	jar, err := zip.OpenReader(path)
	if err != nil {
		return &FileError{File: path, Problem: "is no archive of Java: " + err.Error(), Remedy: "fetch METEOR 1.5 again", Err: err}
	}
	defer jar.Close()
	for name, use := range map[string]func(word string, fields []string) string{"synonym/english.synsets": w.addSynsets, "synonym/english.exceptions": w.addForms} {
		in, err := jar.Open(name)
		if err != nil {
			return &FileError{File: path, Problem: "holds no " + name, Remedy: "name the folder of METEOR 1.5", Err: err}
		}
		err = eachPair(infile.Text(in, path), path+": "+name, use)
		in.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *WordNet) addSynsets(word string, numbers []string) (problem string) {
	for _, number := range numbers {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return fmt.Sprintf("%q is not the number of a synset", number)
		}
		w.synsets[word] = append(w.synsets[word], synset(n))
	}
	return ""
}

func (w *WordNet) addForms(base string, forms []string) (problem string) {
	for _, form := range forms {
		w.bases[form] = append(w.bases[form], base)
	}
	return ""
}

// eachPair calls use for pairs of lines.
func eachPair(r io.Reader, file string, use func(first string, fields []string) string) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxDictionaryLine)
	n := 0
	for lines.Scan() {
		first := lines.Text()
		n += 2
		if !lines.Scan() {
			break
		}
		if problem := use(first, strings.Fields(lines.Text())); problem != "" {
			return &FileError{File: file, Line: n, Problem: problem, Remedy: "fetch METEOR 1.5 again"}
		}
	}
	if err := lines.Err(); err != nil {
		return &FileError{File: file, Line: n, Problem: "cannot be read on: " + err.Error(), Remedy: "fetch METEOR 1.5 again", Err: err}
	}
	return nil
}

// read reads the table: a probability, a phrase and its paraphrase, a line each.
func (p *paraphrases) read(r io.Reader, file string, known map[string]bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxDictionaryLine)
	n := 0
	var phrase string
	for ; lines.Scan(); n++ {
		switch n % 3 {
		case 1:
			phrase = ""
			if allKnown(lines.Bytes(), known) {
				phrase = strings.Join(strings.Fields(lines.Text()), " ")
			}
		case 2:
			if phrase == "" || !allKnown(lines.Bytes(), known) {
				continue
			}
			p.of[phrase] = append(p.of[phrase], strings.Fields(lines.Text()))
			p.longest = max(p.longest, strings.Count(phrase, " ")+1)
		}
	}
	if err := lines.Err(); err != nil || n%3 != 0 {
		return &FileError{File: file, Line: n + 1, Problem: "ends too early, or cannot be read on", Remedy: "fetch METEOR 1.5 again", Err: err}
	}
	return nil
}

// allKnown says whether all words of a line are known.
func allKnown(line []byte, known map[string]bool) bool {
	for len(line) > 0 {
		end := 0
		for end < len(line) && line[end] != ' ' {
			end++
		}
		if end > 0 && !known[string(line[:end])] {
			return false
		}
		line = line[min(len(line), end+1):]
	}
	return true
}
