package textscore

import (
	"fmt"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/metrics"
)

// readVQA reads a result file and VQA's annotations. As the official evaluation it refuses results that are not those of all
// questions that were annotated, and of no others.
func readVQA(hypFile, refFile string) ([]Text, error) {
	answers, err := vqa.ReadResults(hypFile)
	if err != nil {
		return nil, err
	}
	var texts []Text
	missing, first, seen := 0, "", map[string]bool{}
	err = vqa.EachAnnotation(refFile, func(i textfile.Item, id, answerType, questionType string, people []string) error {
		answer, ok := answers[id]
		switch {
		case seen[id]:
			return &textfile.FileError{File: refFile, Line: i.Line, Problem: fmt.Sprintf("%v: question %s is there twice", i, textfile.Quote(id)), Remedy: "remove one"}
		case !ok:
			if missing++; missing == 1 {
				first = id
			}
		}
		seen[id] = true
		texts = append(texts, Text{Hyp: answer, Refs: people, Domain: answerType, Question: questionType})
		return nil
	})
	if err != nil {
		return nil, err
	}
	const remedy = "score the results of the questions that the annotations are of; the official evaluation refuses these, too"
	if missing > 0 {
		return nil, &textfile.FileError{File: hypFile, Problem: fmt.Sprintf("%s of %d not answered, the first is %s", textfile.Plural(missing, "question"), len(texts), first), Remedy: remedy}
	}
	if more := len(answers) - len(seen); more > 0 {
		ids := slices.Sorted(maps.Keys(answers))
		odd := ids[slices.IndexFunc(ids, func(id string) bool { return !seen[id] })]
		return nil, &textfile.FileError{File: hypFile, Problem: fmt.Sprintf("answers %s that %s does not have, such as %s", textfile.Plural(more, "question"), refFile, odd), Remedy: remedy}
	}
	return texts, nil
}

func scoreVQA(texts []Text, _ Options) (r Result) {
	list := make([]metrics.VQAAnswer, len(texts))
	for i, t := range texts {
		list[i] = metrics.VQAAnswer{Answer: t.Hyp, People: t.Refs, AnswerType: t.Domain, QuestionType: t.Question}
	}
	scores := metrics.VQA(list)
	note := func(s metrics.VQAScore) string { return fmt.Sprintf("%.2f %% of %d questions", s.Percent, s.Questions) }
	r.add("accuracy", scores.Accuracy, note(scores.VQAScore))
	for _, kind := range slices.Sorted(maps.Keys(scores.AnswerTypes)) {
		if kind != "" {
			r.add("answer "+kind, scores.AnswerTypes[kind].Accuracy, note(scores.AnswerTypes[kind]))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(scores.QuestionTypes)) {
		if kind != "" {
			r.detail("question "+kind, scores.QuestionTypes[kind].Accuracy)
		}
	}
	r.detail("questions", float64(scores.Questions))
	return r
}
