package cli

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

func TestReadLines(t *testing.T) {
	for _, c := range []struct {
		input string
		want  []string
	}{
		{"", nil},
		{"a\nb\n", []string{"a", "b"}},
		{"a\r\nb\r\n", []string{"a", "b"}},
		{"a\r\nb\r", []string{"a", "b"}},
		{"a\n\r\nb", []string{"a", "", "b"}},
		{" a\t\n", []string{" a\t"}},
	} {
		got, err := readLines(bufio.NewReader(strings.NewReader(c.input)), standardInput, 9, 1)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("lines of %q are %q, %v; want %q", c.input, got, err, c.want)
		}
	}
}

// However long lines are, those that are read at once have a few megabytes, and none is lost.
func TestReadLongLines(t *testing.T) {
	line := strings.Repeat("x", chunkBytes/3+1) + "\n"
	in := bufio.NewReaderSize(strings.NewReader(strings.Repeat(line, 7)), 16*chunkBytes)
	for _, want := range []int{3, 3, 1, 0} {
		if got, err := readLines(in, standardInput, predictChunk, 1); err != nil || len(got) != want {
			t.Errorf("%d lines, %v; want %d", len(got), err, want)
		}
	}
}

// A printed line always has the same number of fields, whatever the texts hold.
func TestPrintPrediction(t *testing.T) {
	classes, regression := model.Config{}, model.Config{ProblemType: model.Regression}
	for _, c := range []struct {
		cfg      model.Config
		pair     bool
		one, two string
		want     string
	}{
		{classes, false, "a b", "", "yes\t0.7500\ta b\n"},
		{classes, false, "a\tb\nc\rd", "", "yes\t0.7500\ta b c d\n"},
		{classes, true, "a\nb", "c\td\re", "yes\t0.7500\ta b\tc d e\n"},
		{classes, true, "a", "", "yes\t0.7500\ta\t\n"},
		{regression, false, "a\tb", "", "2.500\ta b\n"},
		{regression, true, "a", "b", "2.500\ta\tb\n"},
	} {
		var out bytes.Buffer
		a := &app{stdout: newOutput(&out)}
		prediction := run.Reply{Label: "yes", Probability: 0.75, Score: 2.5, IsScore: c.cfg.ProblemType == model.Regression}
		if err := a.printPrediction(c.cfg, c.pair, labelled.Example{TextA: c.one, TextB: c.two}, prediction); err != nil {
			t.Error(err)
		}
		if out.String() != c.want {
			t.Errorf("%q and %q with --pair=%v print %q, want %q", c.one, c.two, c.pair, out.String(), c.want)
		}
	}
}

// The name of a file as a text is answered, with a word that the file is not read.
func TestTextThatIsAFile(t *testing.T) {
	var stderr bytes.Buffer
	a := newApp(nil, strings.NewReader(""), io.Discard, &stderr)
	a.log = slog.New(newLineHandler(a.stderr, slog.LevelInfo))
	file := filepath.Join(t.TempDir(), "my texts.txt")
	writeFile(t, file, "a good film\n")
	table := filepath.Join(filepath.Dir(file), "test.csv")
	writeFile(t, table, "text\na good film\n")
	predict, embed := a.predictCommand(), a.embedCommand()
	a.warnOfFiles(predict, []string{"a good film", file, strings.Repeat("long ", 2000), "", table})
	a.warnOfFiles(embed, []string{table})
	picture := filepath.Join(shapesFolder, "red-bar.png")
	a.warnOfFiles(predict, []string{picture})
	want := "warning: '" + file + "' is a file, and its name is taken for the text; its lines are read by: unimo predict --model DIR - < '" + file + "'\n" +
		"warning: " + table + " is a file, and its name is taken for the text; its examples are answered by: unimo predict --model DIR --data " + table + " --out ANSWERS\n" +
		"warning: " + table + " is a file, and its name is taken for the text; its lines are read by: unimo embed --model DIR - < " + table + "\n" +
		"warning: " + picture + " is a picture, and its name is taken for the text; this model reads texts alone\n"
	if got := stderr.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
