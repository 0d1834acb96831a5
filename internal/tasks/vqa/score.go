package vqa

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// said is what a model says of a question.
type said struct {
	Answer      string
	Probability float64
	Score       float64 // against people's answers
	logit       float64 // of the answer, of a model that chooses
}

// say notes the answer to a question of the set.
func (d *detail) say(i int, x run.Scored) {
	d.said[i] = said{x.Answer, x.Probability, vqa.Score(x.Answer, d.set.Examples[i].Answers), x.Logit}
}

// numbers are the metrics by their names.
func (d *detail) numbers() train.Numbers {
	m := train.Numbers{"accuracy": train.Number(d.accuracy(nil)), "examples": train.Number(len(d.said))}
	if !math.IsNaN(d.loss) {
		m["loss"] = train.Number(d.loss)
	}
	if byType := d.by(answerType); len(byType) > 1 {
		for _, g := range byType {
			m[typed+strings.NewReplacer("/", "_", " ", "_").Replace(g.name)] = train.Number(d.accuracy(g.numbers))
		}
	}
	return m
}

// typed is what the metrics of a type of answer begin with.
const typed = "accuracy_"

// accuracy is the mean over the questions of these numbers; nil is all.
func (d *detail) accuracy(numbers []int) float64 {
	sum, n := 0.0, 0
	for i := range d.said {
		if numbers == nil {
			sum += d.said[i].Score
			n++
		}
	}
	for _, i := range numbers {
		sum += d.said[i].Score
		n++
	}
	return sum / float64(n)
}

// answerType is VQA's type of a question's answer; data that do not say it are typed as VQA's are.
func answerType(x *vqa.Example) string {
	if x.AnswerType != "" {
		return x.AnswerType
	}
	switch a := gold(x.Answers); {
	case a == "yes" || a == "no":
		return "yes/no"
	case a != "" && strings.Trim(a, "0123456789") == "":
		return "number"
	}
	return "other"
}

// questionType is that of the data, or the first two words.
func questionType(x *vqa.Example) string {
	if x.QuestionType != "" {
		return x.QuestionType
	}
	words := strings.Fields(strings.ToLower(x.Question))
	return strings.TrimRight(strings.Join(words[:min(2, len(words))], " "), "?.,")
}

// group is questions of one type.
type group struct {
	name    string
	numbers []int
}

// by groups the questions, the largest group first.
func (d *detail) by(typeOf func(*vqa.Example) string) []group {
	of := map[string][]int{}
	for i := range d.set.Examples {
		name := typeOf(&d.set.Examples[i])
		of[name] = append(of[name], i)
	}
	var list []group
	for _, name := range slices.Sorted(maps.Keys(of)) {
		list = append(list, group{name, of[name]})
	}
	slices.SortStableFunc(list, func(a, b group) int { return cmp.Compare(len(b.numbers), len(a.numbers)) })
	return list
}

// always is what the most frequent answer of some questions scores on them.
func (d *detail) always(numbers []int) (answer string, accuracy float64) {
	count := map[string]int{}
	for _, i := range numbers {
		count[gold(d.set.Examples[i].Answers)]++
	}
	for _, a := range slices.Sorted(maps.Keys(count)) {
		if answer == "" || count[a] > count[answer] {
			answer = a
		}
	}
	for _, i := range numbers {
		accuracy += vqa.Score(answer, d.set.Examples[i].Answers)
	}
	return answer, accuracy / float64(len(numbers))
}

// baselines are what needs no picture: the most frequent answer of all questions, and that of each type of question.
func (d *detail) baselines() []string {
	if len(d.set.Examples) == 0 || d.set.Examples[0].Answers == nil {
		return nil
	}
	all := make([]int, len(d.set.Examples))
	for i := range all {
		all[i] = i
	}
	answer, accuracy := d.always(all)
	byType, types := 0.0, d.by(questionType)
	for _, g := range types {
		_, own := d.always(g.numbers)
		byType += own * float64(len(g.numbers)) / float64(len(all))
	}
	return []string{
		fmt.Sprintf("always %q: %.4f", answer, accuracy),
		fmt.Sprintf("the most frequent answer of each of %s of question: %.4f", run.Count(len(types), "type"), byType),
	}
}
