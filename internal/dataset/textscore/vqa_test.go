package textscore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVQA(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	annotations := file("a.json", `{"annotations": [
		{"question_id": 1, "question_type": "is it", "answer_type": "yes/no", "answers": [{"answer": "yes"}, {"answer": "yes"}, {"answer": "yes"}, {"answer": "yes"}]},
		{"question_id": 2, "question_type": "how many", "answer_type": "number", "answers": [{"answer": "two"}, {"answer": "2"}, {"answer": "2."}, {"answer": "3"}]}]}`)
	m, err := Find("vqa")
	if err != nil {
		t.Fatal(err)
	}
	for answers, want := range map[string]string{
		`[{"question_id": 1, "answer": "yes"}, {"question_id": 2, "answer": "two"}]`:                                "accuracy 0.8750 (87.50 % of 2 questions), answer number 0.7500 (75.00 % of 1 questions), answer yes/no 1.0000 (100.00 % of 1 questions)",
		`[{"question_id": 1, "answer": "Yes"}, {"question_id": 2, "answer": "3"}]`:                                  "accuracy 0.1250 (12.50 % of 2 questions)",
		`[{"question_id": 1, "answer": "yes"}]`:                                                                     "error r.json: 1 question of 2 not answered, the first is 2; score the results",
		`[{"question_id": 1, "answer": "x"}, {"question_id": 2, "answer": "x"}, {"question_id": 7, "answer": "x"}]`: "error r.json: answers 1 question that",
		`[{"question_id": 1, "answer": "x"}, {"question_id": 1, "answer": "x"}]`:                                    "error r.json:1: item 2 answers question 1 again",
	} {
		var got []string
		texts, notes, err := m.Read(t.Context(), file("r.json", answers), annotations)
		if notes != nil {
			t.Errorf("%s: %q", answers, notes)
		}
		if err != nil {
			got = append(got, "error "+strings.TrimPrefix(err.Error(), dir+string(filepath.Separator)))
		} else {
			for _, s := range m.Score(texts, Options{}).Scores {
				if !s.Detail {
					got = append(got, s.Name+" "+fmt.Sprintf("%.4f", s.Value)+" ("+s.Note+")")
				}
			}
		}
		if text := strings.Join(got, ", "); !strings.HasPrefix(text, want) {
			t.Errorf("%s: %s, want %s", answers, text, want)
		}
	}
	results := file("r.json", `[{"question_id": 1, "answer": "yes"}]`)
	_, notes, err := m.Read(t.Context(), results, file("one.json", `{"annotations": [{"question_id": 1, "answers": [{"answer": "yes"}]}]}`))
	if err != nil || len(notes) != 1 || !strings.HasPrefix(notes[0], "1 question of 1 with answers of fewer than 4 people") {
		t.Errorf("%q, %v", notes, err)
	}
	if _, _, err := m.Read(t.Context(), results, file("none.json", `{"annotations": [{"question_id": 1, "answers": []}]}`)); err == nil || !strings.Contains(err.Error(), `none.json:1: annotation 1: question "1" has no answer; correct it`) {
		t.Errorf("%v", err)
	}
}
