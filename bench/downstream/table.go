package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/compute/kernels"
	"github.com/unimo-go/unimo/internal/tasks"
	"github.com/unimo-go/unimo/metrics"
)

// result is what the runs of some data sets have come to.
type result struct {
	Date, Machine, Version string
	Sets                   []summary
}

// summary is that of a data set.
type summary struct {
	Name, Metric       string
	Splits             string // sizes
	Examples, Pictures int    // of the test split
	Rows               []line
	Others             []string `json:"-"` // metrics shown beside it
	Also               []string `json:"-"` // their values, a line a run
	Baselines          []baseline
	Runs               []outcome
}

// line has the scores of a kind of run by seed, and how much less that is than what models score that see their
// pictures: the mean over seeds, with a 95 % interval from drawing pictures of the test split again.
type line struct {
	Name    string
	Seeds   []int
	Scores  []float64
	Mean    float64
	Less    float64
	Between [2]float64
}

// collect reads what is done of some data sets.
func (o options) collect(names []string) (result, error) {
	r := result{Date: time.Now().Format("2 January 2006"), Machine: fmt.Sprintf("%s, %v, %s", processor(), kernels.Active(), cores()), Version: version()}
	for _, s := range sets {
		if !slices.Contains(names, s.name) {
			continue
		}
		sum, err := o.summary(s)
		if err != nil {
			return r, fmt.Errorf("%s: %w", s.name, err)
		}
		r.Sets = append(r.Sets, sum)
	}
	return r, nil
}

func (o options) summary(s set) (summary, error) {
	t, err := tasks.All.Find(s.task)
	if err != nil {
		return summary{}, err
	}
	sum := summary{Name: s.name, Metric: cmp.Or(s.metric, t.Metric), Others: s.also}
	about, err := os.ReadFile(filepath.Join(o.folder(s), "done"))
	if err != nil {
		return sum, err
	}
	sum.Splits = string(about)
	train, err := o.read(s, "train")
	if err != nil {
		return sum, err
	}
	test, err := o.read(s, "test")
	if err != nil {
		return sum, err
	}
	sum.Examples, sum.Pictures, sum.Baselines = len(test), len(images(test)), s.baselines(train, test)
	near, err := o.nearest(s, train, test)
	if err != nil {
		return sum, err
	}
	sum.Baselines = append(near, sum.Baselines...)
	files, err := filepath.Glob(filepath.Join(o.work, "runs", s.name+"-*", outcomeFile))
	if err != nil {
		return sum, err
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var x outcome
		if err == nil {
			err = json.Unmarshal(raw, &x)
		}
		if err != nil {
			return sum, fmt.Errorf("%s: %w", file, err)
		}
		if x.Set != s.name { // flickr8k-search begins like flickr8k
			continue
		}
		sum.Runs = append(sum.Runs, x)
	}
	slices.SortFunc(sum.Runs, func(a, b outcome) int { return a.Seed - b.Seed })
	of := s.pictures(test)
	for _, kind := range []struct {
		name, pictures string
		misled         bool
	}{
		{"its pictures", asTheyAre, false}, {"trained on its pictures, tested with shuffled ones", asTheyAre, true},
		{"shuffled pictures", shuffled, false}, {"the text alone (hidden pictures)", hidden, false},
	} {
		l := line{Name: kind.name}
		var less [][]float64
		for _, x := range sum.Runs {
			if x.Pictures != kind.pictures {
				continue
			}
			scores, values := x.Test, x.Values
			if kind.misled {
				scores, values = x.Misled, x.MisledValues
			}
			score, ok := scores[sum.Metric]
			if !ok {
				return sum, fmt.Errorf("%s, %s, seed %d: no %s among the scores", s.name, kind.name, x.Seed, sum.Metric)
			}
			if !s.search && len(values) != len(of) {
				return sum, fmt.Errorf("%s, seed %d: %d values of %d examples", kind.name, x.Seed, len(values), len(of))
			}
			l.Seeds, l.Scores = append(l.Seeds, x.Seed), append(l.Scores, float64(score))
			if !kind.misled {
				sum.Also = append(sum.Also, x.also(s, kind.name))
			}
			if real := sum.seen(x.Seed); real != nil && !s.search {
				less = append(less, minus(real.Values, values))
			}
		}
		if len(l.Scores) == 0 {
			continue
		}
		l.Mean = mean(l.Scores)
		if len(less) > 0 && (kind.misled || kind.pictures != asTheyAre) {
			l.Less, l.Between = difference(less, of)
		}
		sum.Rows = append(sum.Rows, l)
	}
	return sum, nil
}

// also is a line of the table of other metrics.
func (x outcome) also(s set, name string) string {
	values := make([]float64, len(s.also))
	for i, key := range s.also {
		values[i] = float64(x.Test[key])
	}
	return fmt.Sprintf("| %s, seed %d | %s |", name, x.Seed, strings.ReplaceAll(joined("%.4f", values), ", ", " | "))
}

// seen is the run of a seed that sees its pictures.
func (s summary) seen(seed int) *outcome {
	i := slices.IndexFunc(s.Runs, func(x outcome) bool { return x.Pictures == asTheyAre && x.Seed == seed })
	if i < 0 {
		return nil
	}
	return &s.Runs[i]
}

// pictures are those of the values of a run, by number: of each example, or for captions each picture once.
func (s set) pictures(test []example) []int {
	number := map[string]int{}
	for i, image := range images(test) {
		number[image] = i
	}
	var of []int
	if !s.labels {
		for i := range number {
			of = append(of, number[i])
		}
		slices.Sort(of)
		return of
	}
	for _, x := range test {
		of = append(of, number[x.image])
	}
	return of
}

// draws is how often pictures are drawn again; the ends of the interval then vary by less than what is printed.
const draws = 2000

// difference is the mean over runs and examples, and its interval over the pictures that examples are about.
func difference(runs [][]float64, of []int) (all float64, between [2]float64) {
	sums, counts := make([]float64, slices.Max(of)+1), make([]float64, slices.Max(of)+1)
	for _, values := range runs {
		for i, v := range values {
			sums[of[i]] += v
			counts[of[i]]++
		}
	}
	ratio := func(sample []int) float64 {
		var sum, n float64
		for _, i := range sample {
			sum, n = sum+sums[i], n+counts[i]
		}
		return sum / n
	}
	between[0], between[1] = metrics.Bootstrap(len(sums), draws, splitSeed, ratio)
	everything := make([]int, len(sums))
	for i := range everything {
		everything[i] = i
	}
	return ratio(everything), between
}

func minus(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}

func mean(x []float64) float64 {
	total := 0.0
	for _, v := range x {
		total += v
	}
	return total / float64(len(x))
}

func (r result) json(out io.Writer) error {
	for i := range r.Sets {
		for j := range r.Sets[i].Runs { // the scores of single examples are for the intervals
			r.Sets[i].Runs[j].Values, r.Sets[i].Runs[j].MisledValues = nil, nil
		}
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", " ")
	return enc.Encode(r)
}

func (r result) markdown(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, unimo %s\n", r.Date, r.Machine, r.Version)
	for _, s := range r.Sets {
		fmt.Fprintf(&b, "\n## %s: %s on %d examples about %d pictures\n\n", s.Name, s.Metric, s.Examples, s.Pictures)
		b.WriteString("| what is seen | seeds | scores | mean | less than with its pictures, 95 % interval |\n|---|---|---|---:|---|\n")
		for _, l := range s.Rows {
			less := ""
			if l.Between != [2]float64{} {
				less = fmt.Sprintf("%.4f, %.4f to %.4f", l.Less, l.Between[0], l.Between[1])
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %.4f | %s |\n", l.Name, joined("%d", l.Seeds), joined("%.4f", l.Scores), l.Mean, less)
		}
		for _, x := range s.Baselines {
			fmt.Fprintf(&b, "| %s | | | %.4f | |\n", x.Name, x.Value)
		}
		if len(s.Others) > 0 && len(s.Also) > 0 {
			fmt.Fprintf(&b, "\n| run | %s |\n|---|%s\n%s\n", strings.Join(s.Others, " | "), strings.Repeat("---|", len(s.Others)), strings.Join(s.Also, "\n"))
		}
		fmt.Fprintf(&b, "\n```\n%s", s.Splits)
		for _, x := range s.Runs {
			fmt.Fprintf(&b, "%s\n", x.Command)
		}
		b.WriteString("```\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func joined[T any](format string, values []T) string {
	var words []string
	for _, v := range values {
		words = append(words, fmt.Sprintf(format, v))
	}
	return strings.Join(words, ", ")
}

func cores() string { return fmt.Sprintf("%d cores, %s", runtime.NumCPU(), runtime.Version()) }

// processor is its name, where the system tells it.
func processor() string {
	raw, _ := os.ReadFile("/proc/cpuinfo")
	for row := range strings.Lines(string(raw)) {
		if key, value, _ := strings.Cut(row, ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// version is the commit that this was built from, where Go noted it.
func version() string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "unknown"
}
