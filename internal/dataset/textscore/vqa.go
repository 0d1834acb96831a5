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
func readVQA(hypFile, refFile string) (texts []Text, notes []string, err error) {
	answers, err := vqa.ReadResults(hypFile)
	if err != nil {
		return nil, nil, err
	}
	few, missing, first, seen := 0, 0, "", map[string]bool{}
	err = vqa.EachAnnotation(refFile, func(i textfile.Item, id, answerType, questionType string, people []string) error {
		answer, ok := answers[id]
		switch {
		case seen[id]:
			return &textfile.FileError{File: refFile, Line: i.Line, Problem: fmt.Sprintf("%v: question %s is there twice", i, textfile.Quote(id)), Remedy: "remove one"}
		case len(people) == 0:
			return &textfile.FileError{File: refFile, Line: i.Line, Problem: fmt.Sprintf("%v: question %s has no answer", i, textfile.Quote(id)), Remedy: "correct it"}
		case !ok:
			if missing++; missing == 1 {
				first = id
			}
		}
		if seen[id] = true; len(people) < vqa.FewPeople {
			few++
		}
		texts = append(texts, Text{Hyp: answer, Refs: people, Domain: answerType, Question: questionType})
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	const remedy = "score the results of the questions that the annotations are of; the official evaluation refuses these, too"
	if missing > 0 {
		return nil, nil, &textfile.FileError{File: hypFile, Problem: fmt.Sprintf("%s of %d not answered, the first is %s", textfile.Plural(missing, "question"), len(texts), first), Remedy: remedy}
	}
	if more := len(answers) - len(seen); more > 0 {
		ids := slices.Sorted(maps.Keys(answers))
		odd := ids[slices.IndexFunc(ids, func(id string) bool { return !seen[id] })]
		return nil, nil, &textfile.FileError{File: hypFile, Problem: fmt.Sprintf("answers %s that %s does not have, such as %s", textfile.Plural(more, "question"), refFile, odd), Remedy: remedy}
	}
	if few > 0 {
		notes = append(notes, fmt.Sprintf("%s of %d with answers of fewer than %d people: the official accuracy of these stays below 1, and is 0 with one; 'unimo evaluate vqa' asks whether the answer is one of theirs",
			textfile.Plural(few, "question"), len(texts), vqa.FewPeople))
	}
	return texts, notes, nil
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
