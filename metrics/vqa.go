package metrics

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// VQAAnswer is an answer to a question about a picture, with what it is scored by.
type VQAAnswer struct {
	Answer       string   // the prediction
	People       []string // what people answered, ten of them in VQA
	AnswerType   string   // VQA's "answer_type", such as "yes/no"; "" if it is not known
	QuestionType string   // VQA's "question_type", such as "what color"; "" if it is not known
}

// VQAScore is the mean of [VQAAccuracy] over questions; NaN without any.
type VQAScore struct {
	Accuracy  float64
	Percent   float64 // the accuracy as the official evaluation prints it: in percent, rounded to two decimals
	Questions int
}

// VQAScores are the scores of all questions and of each type. Questions without a type count under "".
type VQAScores struct {
	VQAScore
	AnswerTypes, QuestionTypes map[string]VQAScore
}

// VQA scores answers as VQA's official evaluation (vqaEval.py) does: see [VQAAccuracy].
//
// Source: S. Antol et al., "VQA: visual question answering", ICCV 2015.
func VQA(answers []VQAAnswer) VQAScores {
	sums := struct{ all, answers, questions map[string]*vqaSum }{map[string]*vqaSum{"": {}}, map[string]*vqaSum{}, map[string]*vqaSum{}}
	for _, a := range answers {
		accuracy := VQAAccuracy(a.Answer, a.People)
		addVQA(sums.all, "", accuracy)
		addVQA(sums.answers, a.AnswerType, accuracy)
		addVQA(sums.questions, a.QuestionType, accuracy)
	}
	return VQAScores{vqaScores(sums.all)[""], vqaScores(sums.answers), vqaScores(sums.questions)}
}

// vqaSum is a sum over questions, taken in their order.
type vqaSum struct {
	sum float64
	n   int
}

func addVQA(sums map[string]*vqaSum, kind string, accuracy float64) {
	if sums[kind] == nil {
		sums[kind] = &vqaSum{}
	}
	sums[kind].sum += accuracy
	sums[kind].n++
}

func vqaScores(sums map[string]*vqaSum) map[string]VQAScore {
	scores := make(map[string]VQAScore, len(sums))
	for kind, s := range sums {
		scores[kind] = VQAScore{s.sum / float64(s.n), twoDecimals(100 * s.sum / float64(s.n)), s.n}
	}
	return scores
}

// twoDecimals rounds as Python 2's round(v, 2) does: to the nearest, from the middle away from zero. Of numbers in
// binary only eighths are in the middle.
func twoDecimals(v float64) float64 {
	if math.Mod(v, 0.25) == 0.125 {
		v += 0.001
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'f', 2, 64), 64)
	return rounded
}

// enoughPeople is how many people who say the same make an answer right.
const enoughPeople = 3

// VQAAccuracy is the official accuracy of an answer: each person is left out once, an answer that n of the others gave
// counts min(n/3, 1), and the mean over the persons is taken. Of ten persons, three who agree make 0.9 and four make 1. It
// is NaN without people, and 0 with one: nobody is left to compare with.
//
// Answers are compared as [NormalizeAnswer] makes them where people disagree. Where all gave the same answer, only line
// ends, tabs and the blanks around it are seen to: "Yes" is then wrong if all said "yes", as in the official evaluation.
func VQAAccuracy(answer string, people []string) float64 {
	answer, people = plainAnswer(answer), eachAnswer(people, plainAnswer)
	if slices.ContainsFunc(people, func(p string) bool { return p != people[0] }) {
		answer, people = normalAnswer(answer), eachAnswer(people, normalAnswer)
	}
	same := 0
	for _, p := range people {
		if p == answer {
			same++
		}
	}
	sum := 0.0 // in the order of the persons: a float's last bit depends on it
	for _, p := range people {
		others := same
		if p == answer {
			others--
		}
		sum += min(1, float64(others)/enoughPeople)
	}
	return sum / float64(len(people))
}

func eachAnswer(list []string, f func(string) string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = f(s)
	}
	return out
}

// NormalizeAnswer is the form in which the official evaluation of VQA compares answers where people disagree: without
// most punctuation and without articles, in lower case, with digits for the words none (0) to ten, and with the apostrophes
// of contractions. docs/reference/metrics.md of the module lists its peculiarities, all of which are kept.
func NormalizeAnswer(answer string) string { return normalAnswer(plainAnswer(answer)) }

// plainAnswer is what the evaluation does to every answer.
func plainAnswer(s string) string {
	return strings.TrimFunc(strings.NewReplacer("\n", " ", "\t", " ").Replace(s), pytext.IsSpace)
}

// normalAnswer is what it does besides where people disagree.
func normalAnswer(s string) string {
	var words []string
	for _, word := range pytext.Fields(strings.ToLower(withoutPunctuation(s))) {
		if digits, ok := numberWords[word]; ok {
			word = digits
		}
		if word == "a" || word == "an" || word == "the" {
			continue
		}
		if full, ok := contractions[word]; ok {
			word = full
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// answerMarks is the punctuation that answers lose, in the order in which they lose it.
const answerMarks = `;/[]"{}()=+\_-><@` + "`" + `,?!`

// commaInNumber is a comma between two digits. As digits the evaluation's Python 2 takes those of ASCII.
var commaInNumber = regexp.MustCompile(`[0-9],[0-9]`)

// withoutPunctuation removes a mark that stands beside a blank anywhere in the answer, and puts a blank in place of
// another one. An answer with a comma between digits loses all marks.
func withoutPunctuation(s string) string {
	out, number := s, commaInNumber.MatchString(s)
	for _, r := range answerMarks {
		mark, with := string(r), " "
		if number || strings.Contains(s, mark+" ") || strings.Contains(s, " "+mark) {
			with = ""
		}
		out = strings.ReplaceAll(out, mark, with)
	}
	return withoutPeriods(out)
}

// maxPeriods is how many periods are removed: the evaluation gives the flag re.UNICODE, 32, where the count stands.
const maxPeriods = 32

// withoutPeriods removes periods that no digit follows. One after a digit was meant to stay; it does not.
func withoutPeriods(s string) string {
	out, removed := make([]byte, 0, len(s)), 0
	for i := range len(s) {
		if s[i] == '.' && removed < maxPeriods && (i+1 == len(s) || s[i+1] < '0' || s[i+1] > '9') {
			removed++
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

var numberWords = map[string]string{
	"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}

// contractions has the full form of words that lack one of their apostrophes. Of let's and she's the evaluation
// knows only the full forms, and it takes the apostrophe out of somebody'd. Its entries for I, with a capital, are never found:
// words are in lower case by then.
var contractions = func() map[string]string {
	full := map[string]string{"somebody'd": "somebodyd"}
	for word := range strings.FieldsSeq(contracted) {
		for i := range len(word) {
			if word[i] == '\'' {
				full[word[:i]+word[i+1:]] = word
			}
		}
	}
	return full
}()

const contracted = `
	ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's how'd how'll how's
	isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't not've o'clock oughtn't 'ow's'at
	shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's
	something'd something'd've something'll that's there'd there'd've there're there's they'd they'd've they'll they're they've 'twas
	wasn't we'd've we've weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've
	why'll why're why's won't would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're you've`
