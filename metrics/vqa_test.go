package metrics

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// TestVQAOfficial compares with testdata/vqa.json, which is what the official vqaEval.py said of texts made for it
// under Python 2.7. 137,000 texts and 27,000 questions were compared once.
func TestVQAOfficial(t *testing.T) {
	raw, err := os.ReadFile("testdata/vqa.json")
	if err != nil {
		t.Fatal(err)
	}
	var official struct {
		Normalised [][2]string
		Accuracies []struct {
			Answer   string
			People   []string
			Accuracy float64
		}
	}
	if err := json.Unmarshal(raw, &official); err != nil {
		t.Fatal(err)
	}
	if len(official.Normalised) < 250 || len(official.Accuracies) < 100 {
		t.Fatalf("%d texts and %d questions", len(official.Normalised), len(official.Accuracies))
	}
	for _, c := range official.Normalised {
		if got := NormalizeAnswer(c[0]); got != c[1] {
			t.Errorf("%q becomes %q, want %q", c[0], got, c[1])
		}
	}
	for _, c := range official.Accuracies {
		if got := VQAAccuracy(c.Answer, c.People); got != c.Accuracy {
			t.Errorf("%q of %q scores %v, want %v", c.Answer, c.People, got, c.Accuracy)
		}
	}
}

func TestVQA(t *testing.T) {
	ten := func(answer string) (list []string) {
		for range 10 {
			list = append(list, answer)
		}
		return list
	}
	var answers []VQAAnswer
	for i := range 32 { // 1/32 is in the middle of two decimals
		a := VQAAnswer{Answer: "no", People: ten("yes"), AnswerType: "yes/no"}
		if i == 5 {
			a = VQAAnswer{Answer: "2", People: ten("2"), AnswerType: "number", QuestionType: "how many"}
		}
		answers = append(answers, a)
	}
	s := VQA(answers)
	if s.Accuracy != 1.0/32 || s.Percent != 3.13 || s.Questions != 32 {
		t.Errorf("%+v", s.VQAScore)
	}
	if s.AnswerTypes["number"] != (VQAScore{1, 100, 1}) || s.AnswerTypes["yes/no"] != (VQAScore{0, 0, 31}) || s.QuestionTypes[""].Questions != 31 || len(s.QuestionTypes) != 2 {
		t.Errorf("%+v", s)
	}
	if s := VQA(nil); !math.IsNaN(s.Accuracy) || !math.IsNaN(s.Percent) || s.Questions != 0 || !math.IsNaN(VQAAccuracy("yes", nil)) {
		t.Errorf("of nothing: %+v", s)
	}
}

func FuzzVQA(f *testing.F) {
	addTexts(f)
	f.Fuzz(func(t *testing.T, answer, one, two string) {
		same, mixed := VQAAccuracy(answer, []string{one, one, one}), VQAAccuracy(answer, []string{one, one, one, two, answer})
		checkRange(t, "VQA", same, mixed)
		NormalizeAnswer(answer)
	})
}
