package vqa

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// folder writes files, by name, into a new folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// describe writes a set in one line.
func describe(s *Set) string {
	var b strings.Builder
	for _, x := range s.Examples {
		fmt.Fprintf(&b, "%s %s: %s", x.ID, x.Image, x.Question)
		if x.Answers != nil {
			fmt.Fprintf(&b, " %q", x.Answers)
		}
		if x.AnswerType+x.QuestionType != "" {
			fmt.Fprintf(&b, " (%s, %s)", x.AnswerType, x.QuestionType)
		}
		b.WriteString("; ")
	}
	return strings.TrimSuffix(b.String(), "; ")
}

const (
	questions = `{"info": {"x": [1, {"question": 2}]}, "task_type": "Open-Ended", "data_subtype": "train2014",
		"questions": [{"image_id": 9, "question": "Who?", "question_id": 90}, {"image_id": 25, "question": " How many? ", "question_id": 91}]}`
	annotations = `{"annotations": [
		{"question_type": "how many", "multiple_choice_answer": "2", "answers": [{"answer": "2", "answer_confidence": "yes", "answer_id": 1}, {"answer": "two", "answer_id": 2}], "image_id": 25, "answer_type": "number", "question_id": 91},
		{"question_type": "who", "answers": [{"answer": "a man"}, {"answer": ""}], "answer_type": "other", "question_id": 90}, {"question_id": 5, "answers": []}]}`
	vqaTrain   = "v2_OpenEnded_mscoco_train2014_questions.json"
	vqaAnswers = "v2_mscoco_train2014_annotations.json"
	coco9      = "train2014/COCO_train2014_000000000009.jpg"
	coco25     = "train2014/COCO_train2014_000000000025.jpg"
)

func TestRead(t *testing.T) {
	both := `90 ` + coco9 + `: Who? ["a man" ""] (other, who); 91 ` + coco25 + `: How many? ["2" "two"] (number, how many)`
	for _, c := range []struct {
		name  string
		files map[string]string
		opt   Options
		want  string
		note  string
	}{
		{"VQA", map[string]string{vqaTrain: questions, vqaAnswers: annotations, coco9: "", coco25: ""}, Options{}, both, "1 annotation of questions that"},
		{"VQA in folders", map[string]string{"questions/" + vqaTrain: questions, "annotations/" + vqaAnswers: annotations, "images/" + coco9: "", "images/" + coco25: "", "val2014/COCO_val2014_000000000009.jpg": ""}, Options{},
			strings.ReplaceAll(both, "train2014/", "images/train2014/"), "1 annotation"},
		{"VQA's test", map[string]string{"v2_OpenEnded_mscoco_test-dev2015_questions.json": questions, "9.jpg": "", "COCO_test2015_25.png": ""}, Options{Unanswered: true},
			"90 9.jpg: Who?; 91 COCO_test2015_25.png: How many?", ""},
		{"features", map[string]string{vqaTrain: questions, vqaAnswers: annotations}, Options{Named: true}, strings.NewReplacer(coco9, "9", coco25, "25").Replace(both), "1 annotation"},
		{"easy-VQA", map[string]string{"train/questions.json": `[["what?", "red", 0], ["is it?", "yes", 1]]`, "train/images/0.png": "", "train/images/1.png": "", "test/images/0.png": ""}, Options{},
			`1 train/images/0.png: what? ["red"]; 2 train/images/1.png: is it? ["yes"]`, ""},
		{"GQA", map[string]string{"train_balanced_questions.json": `{"07": {"imageId": "25", "question": "Is it?", "answer": "no", "types": {"structural": "verify"}, "semantic": []}, "8": {"imageId": 9, "question": "What?", "answer": "cup"}}`, "images/25.jpg": "", "images/9.jpg": ""}, Options{},
			`07 images/25.jpg: Is it? ["no"] (, verify); 8 images/9.jpg: What? ["cup"]`, ""},
		{"DAQUAR", map[string]string{"train.csv": "question,answer,image_id\nwhat is,\"cup, box\",image2\nhow many,3,image10\n", "images/image2.jpg": "", "images/image10.jpg": ""}, Options{},
			`2 images/image2.jpg: what is ["cup, box"]; 3 images/image10.jpg: how many ["3"]`, ""},
		{"several answers", map[string]string{"train.tsv": "id\timage\tquestion\tanswers\tanswer_type\n7\ta.jpg\twhat\t['cup', \"it's\"]\tother\n", "a.jpg": ""}, Options{},
			`7 a.jpg: what ["cup" "it's"] (other, )`, ""},
		{"JSON lines", map[string]string{"train.jsonl": `{"file_name": "A.JPG", "question": "what", "answer": 3, "id": 4}` + "\n\n" + `{"image": "b", "question": "who", "answers": [{"answer": "x"}, {"answer": 7}], "multiple_choice_answer": "x"}`, "sub/a.jpg": "", "b.jpg": ""}, Options{},
			`4 sub/a.jpg: what ["3"]; 3 b.jpg: who ["x" "7"]`, ""},
		{"a list", map[string]string{"train.json": `[{"image": "a.jpg", "question": "what", "answer": "x"}]`, "a.jpg": ""}, Options{}, `1 a.jpg: what ["x"]`, ""},
		{"left out", map[string]string{"train.csv": "image,question,answer\na,what,\na,,x\nb,what,x\n,what,x\na,what,x\na,what\n", "a.jpg": ""}, Options{SkipBad: true}, `6 a.jpg: what ["x"]`,
			`4 questions left out; the first: DIR/train.csv:2: question "2" has no answer`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, c.files)
			file, err := Resolve(dir, map[bool]string{false: "train", true: "test"}[c.opt.Unanswered])
			if err != nil {
				t.Fatal(err)
			}
			s, err := Read(file, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(s); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if notes := strings.ReplaceAll(strings.Join(s.Notes, "\n"), filepath.ToSlash(dir), "DIR"); (c.note == "") != (notes == "") || !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	pictures := map[string]string{"a.jpg": "", coco9: "", coco25: ""}
	for _, c := range []struct{ name, file, content, more, want string }{
		{"no annotations", vqaTrain, questions, "", "there is no v2_mscoco_train2014_annotations.json beside it; put VQA's annotations there"},
		{"no annotation", vqaTrain, questions, `{"annotations": [{"question_id": 90, "answers": [{"answer": "x"}]}]}`, `question "91" has no annotation in`},
		{"empty answers", vqaTrain, questions, `{"annotations": [{"question_id": 90, "answers": []}]}`, vqaAnswers + `:1: annotation 1: question "90" has no answer; correct it`},
		{"answered twice", vqaTrain, questions, `{"annotations": [{"question_id": 90, "answers": [{"answer": "x"}]}, {"question_id": 90, "answers": [{"answer": "x"}]}]}`, `annotation 2: question "90" is answered twice`},
		{"no id", vqaTrain, questions, `{"annotations": [{"answers": [{"answer": "x"}]}]}`, `annotation 1 has no "question_id"`},
		{"odd answers", vqaTrain, questions, `{"annotations": [{"question_id": 90, "answers": "x"}]}`, `annotation 1: "answers" is a text, want a list`},
		{"no annotations in the file", vqaTrain, questions, `{"questions": []}`, `has no "annotations" with`},
		{"annotations alone", "questions.json", annotations, "", "has annotations and no questions; name the file of the questions"},
		{"cut off", "train.json", `[{"image": "a", "question": "what", "answer": "x"},`, "", "train.json:1: ends within the JSON"},
		{"two values", "train.json", `{"questions": []} {}`, "", "something follows after the JSON value"},
		{"no question", "train.json", `[{"image": "a", "caption": "x"}]`, "", `item 1: is an object with the keys "caption", "image", which has no image with a question`},
		{"twice", "train.json", `[{"id": 1, "image": "a", "question": "what", "answer": "x"}, {"id": 1, "image": "a", "question": "who", "answer": "x"}]`, "", `item 2: question "1" is there twice`},
		{"easy-VQA", "train.json", `[["what", "x"]]`, "", "item 1: is no list of a question, an answer and an image"},
		{"no picture", "train.csv", "image,question,answer\nb.jpg,what,x\n", "", `question "2": there is no picture "b.jpg" in`},
		{"header", "train.csv", "a,b\n", "", "train.csv:1: is no header with the columns image and question"},
		{"columns", "train.csv", "image,question,answer\na,what,is,it\n", "", "train.csv:2: has 4 columns, the header has 3"},
		{"nothing", "train.csv", "image,question,answer\n", "", "holds no questions"},
		{"one value", "train.json", "[]", "", "holds no questions"},
		{"LFS", "train.csv", "version https://git-lfs.github.com/spec/v1\n", "", "is a Git LFS pointer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{c.file: c.content}
			for name := range pictures {
				files[name] = ""
			}
			if c.more != "" {
				files[vqaAnswers] = c.more
			}
			_, err := Read(filepath.Join(folder(t, files), c.file), Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	f := newFinder([]string{"x/0.png", "y/0.png", "images/b/1.jpg", "other/1.jpg"}, "", "")
	for image, want := range map[string]string{"1": "images/b/1.jpg", "other/1.jpg": "other/1.jpg", "0": "", "2": "", "001.jpg": ""} {
		if got, problem := f.find(image); got != want || (got == "") != (problem != "") {
			t.Errorf("%q is %q (%s), want %q", image, got, problem, want)
		}
	}
}

func TestResolve(t *testing.T) {
	dir := folder(t, map[string]string{"train_balanced_questions.json": "", "val_balanced_questions.json": "", "testdev_balanced_questions.json": ""})
	for split, want := range map[string]string{"train": "train_balanced_questions.json", "dev": "val_balanced_questions.json", "test": "testdev_balanced_questions.json"} {
		if got, err := Resolve(dir, split); err != nil || filepath.Base(got) != want {
			t.Errorf("%s is %s, %v", split, got, err)
		}
	}
	if _, err := Resolve(folder(t, map[string]string{"train_a_questions.json": "", "train_b_questions.json": ""}), "train"); err == nil || !strings.Contains(err.Error(), "several files of questions of train") {
		t.Errorf("two files: %v", err)
	}
	if _, err := Resolve(folder(t, map[string]string{"test/questions.json": ""}), "dev"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// No picture is in both parts, and every question is in one.
func TestDraw(t *testing.T) {
	s := &Set{Dir: "d"}
	for i := range 60 {
		s.Examples = append(s.Examples, Example{ID: fmt.Sprint(i), Image: fmt.Sprint(i % 20)})
	}
	rest, drawn, err := s.Draw(0.2, 1)
	if err != nil || len(drawn.Examples) != 12 || len(rest.Examples) != 48 || SharedImages(rest, drawn) != 0 || SharedImages(s, drawn) != 4 {
		t.Fatalf("%d and %d, %v", len(rest.Examples), len(drawn.Examples), err)
	}
	_, again, _ := s.Draw(0.2, 1)
	_, other, _ := s.Draw(0.2, 2)
	if describe(again) != describe(drawn) || describe(other) == describe(drawn) {
		t.Error("the seed does not decide")
	}
	if _, _, err := (&Set{Examples: make([]Example, 3)}).Draw(0.5, 1); !errors.Is(err, ErrOnePicture) {
		t.Errorf("one picture: %v", err)
	}
}

func TestTargets(t *testing.T) {
	ten := func(counts ...int) (people []string) {
		for i, n := range counts {
			for range n {
				people = append(people, "The "+string(rune('x'+i)))
			}
		}
		return people
	}
	for _, c := range []struct {
		people []string
		want   string
	}{
		{ten(1, 4, 5), "z 1.0 y 1.0 x 0.3"},
		{ten(2, 3, 5), "z 1.0 y 0.9 x 0.6"},
		{[]string{"Two"}, "2 1.0"},
		{[]string{"the", "a dog", "dog"}, "dog 1.0"},
		{nil, ""},
	} {
		var got []string
		for _, target := range Targets(c.people) {
			got = append(got, fmt.Sprintf("%s %.1f", target.Answer, target.Score))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %q, want %q", c.people, got, c.want)
		}
	}
	for _, c := range []struct {
		answer string
		people []string
		want   float64
	}{{"x", ten(3, 7), 0.9}, {"Yes", []string{"yes"}, 1}, {"no", []string{"yes"}, 0}, {"2", []string{"one", "two"}, 1}} {
		if got := Score(c.answer, c.people); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%q of %q scores %v, want %v", c.answer, c.people, got, c.want)
		}
	}
}

func TestResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if err := WriteResults(path, []Result{{"7", "yes"}, {"007", "a\nb"}}); err != nil {
		t.Fatal(err)
	}
	if raw, _ := os.ReadFile(path); string(raw) != "[{\"question_id\":7,\"answer\":\"yes\"},\n{\"question_id\":\"007\",\"answer\":\"a\\nb\"}]\n" {
		t.Errorf("%s", raw)
	}
	if got, err := ReadResults(path); err != nil || len(got) != 2 || got["007"] != "a\nb" {
		t.Errorf("%v, %v", got, err)
	}
	for content, want := range map[string]string{
		`[{"question_id": 1, "answer": "x"}, {"question_id": 1, "answer": "y"}]`: "item 2 answers question 1 again",
		`[{"question_id": 1}]`:               `item 1 lacks "question_id" or "answer"`,
		`[{"question_id": 1, "answer": 3}]`:  `"answer" is a number, want a text`,
		`{"results": []}`:                    `"results" is of an object`,
		`[]`:                                 "has no answers",
		`[{"question_id": 1, "answer": "x"}`: "ends within the JSON",
	} {
		if _, err := readResults(strings.NewReader(content), "r.json"); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "r.json") {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
}

func TestReal(t *testing.T) {
	for _, c := range []struct {
		data, split       string
		questions, images int
	}{{"easy-vqa", "train", 38575, 4000}, {"easy-vqa", "test", 9673, 1000}, {"daquar", "train", 9974, 1442}} {
		file, err := Resolve(golden.Data(t, c.data), c.split)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Read(file, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if images, _ := s.Images(); len(s.Examples) != c.questions || len(images) != c.images || s.Notes != nil {
			t.Errorf("%s %s: %d questions about %d images, %q", c.data, c.split, len(s.Examples), len(images), s.Notes)
		}
	}
}

// FuzzRead: what is read of anything is checked, and what is wrong names the file.
func FuzzRead(f *testing.F) {
	for _, s := range []string{questions, annotations, `[["what?", "red", 0]]`, `{"1": {"imageId": "2", "question": "x", "answer": "y"}}`, "image,question,answer\na,b,c\n", "question\tanswer\timage_id\na\t['b']\tc\n",
		`[{"image": "a", "question": "b", "answers": [{"answer": "c"}]}]`, `{"questions": {}}`, "[[", `{"question": "a"}`, "\ufeffimage;question\na;b\n", "", "\x1f\x8b"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, content []byte, lines bool) {
		r := reader{Options: Options{SkipBad: true}, set: &Set{File: "x"}, seen: map[string]bool{}, texts: map[string]string{}}
		if lines {
			r.set.File = "x.jsonl"
		}
		err := r.scan(bytes.NewReader(content))
		var known *textfile.FileError
		if err != nil && (!errors.As(err, &known) || known.File != r.set.File) {
			t.Errorf("%v", err)
		}
		seen := map[string]bool{}
		for _, x := range r.set.Examples {
			if x.ID == "" || seen[x.ID] || x.Image == "" || x.Question == "" || r.set.Form != formQuestions && !slices.ContainsFunc(x.Answers, func(a string) bool { return strings.TrimSpace(a) != "" }) {
				t.Errorf("%+v passes", x)
			}
			seen[x.ID] = true
		}
	})
}

func FuzzAnnotations(f *testing.F) {
	for _, s := range []string{annotations, `{"annotations": [{"question_id": "x", "answers": [{"answer": 3}]}]}`, `{"annotations": 3}`, "[]", "{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		err := eachAnnotation(bytes.NewReader(content), "x", func(_ textfile.Item, id, _, _ string, _ []string) error {
			if id == "" {
				t.Error("an annotation without id passes")
			}
			return nil
		})
		var known *textfile.FileError
		if err != nil && (!errors.As(err, &known) || known.File != "x") {
			t.Errorf("%v", err)
		}
	})
}

func FuzzResults(f *testing.F) {
	for _, s := range []string{`[{"question_id": 1, "answer": "x"}]`, `[{"question_id": "a", "answer": "x"}, {}]`, "[", "{}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		answers, err := readResults(bytes.NewReader(content), "x")
		if err == nil && len(answers) == 0 {
			t.Error("nothing passes")
		}
		var known *textfile.FileError
		if err != nil && (!errors.As(err, &known) || known.File != "x") {
			t.Errorf("%v", err)
		}
	})
}
