package metrics

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// meteorRules separate words and punctuation in the order in which they stand, as the
// tokenizer of METEOR 1.5, which is that of Moses with three rules of its own: the
// quotation marks, the dashes, and hyphens, whose parts become words. A rule reads each
// character once, so that of "a,b,c" it splits one comma.
var meteorRules = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{rule(`[^αN\s\v.'\x60,\-‘’]`), " $0 "},
	{rule(`\.{2,}`), " $0 "},
	{rule(`([^N]),([^N])`), "$1 , $2"},
	{rule(`([N]),([^N])`), "$1 , $2"},
	{rule(`([^N]),([N])`), "$1 , $2"},
	{rule("[`‘’]"), "'"},
	{rule(`[“”]|''`), ` " `},
	{rule(`–`), "-"},
	{rule(`--`), "-"},
	{rule(`([αN.])-([αN])`), "$1 $2"},
	{rule(`([^α])'([^α])`), "$1 ' $2"},
	{rule(`([^αN])'([α])`), "$1 ' $2"},
	{rule(`([α])'([^α])`), "$1 ' $2"},
	{rule(`([α])'([α])`), "$1 '$2"},
	{rule(`([N])'(s)`), "$1 '$2"},
}

// meteorLetters are the characters that METEOR 1.5 takes for letters. Not all of Latin and
// Cyrillic: without the Romanian comma below, the Vietnamese letters with two marks, ligatures.
const meteorLetters = `A-Za-zŠŽšžŸÀ-ÖØ-öø-žЀ-ӿԀ-ԧꙀ-ꙮ꙾-ꚗ\x{1D00}-\x{1D7F}`

// rule compiles a pattern in which α stands for letters and N for digits.
func rule(pattern string) *regexp.Regexp {
	return regexp.MustCompile(strings.NewReplacer("α", meteorLetters, "N", "0-9").Replace(pattern))
}

// meteorTokens splits a text into lower-case words and punctuation marks.
func meteorTokens(text string) []string {
	text = strings.Map(func(r rune) rune {
		if r != '\u1680' && unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, text)
	// As Java's trim: control characters at the ends go too.
	text = " " + strings.TrimFunc(text, func(r rune) bool { return r <= ' ' }) + " "
	for _, r := range meteorRules {
		text = r.pattern.ReplaceAllString(text, r.with)
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n\r\f", r) })
	var tokens []string
	for i, t := range parts {
		following := ""
		if i+1 < len(parts) {
			following = parts[i+1]
		}
		tokens = appendUndotted(tokens, t, following)
	}
	return tokens
}

// appendUndotted appends a word in lower case, its full stop as a token of its own
// unless it belongs to the word: an abbreviation, or one before a small letter or,
// after "No", a number. Words with dots inside lose them all, so that U.S. is US.
func appendUndotted(tokens []string, token, following string) []string {
	word, dotted := strings.CutSuffix(token, ".")
	lower := pytext.Lower(token) // Java's is the same
	switch {
	case !dotted || strings.Trim(token, ".") == "":
		return append(tokens, lower)
	case strings.Contains(word, ".") && hasLetter.MatchString(word):
		return append(tokens, strings.ReplaceAll(lower, ".", ""))
	case abbreviations[word], len(word) == 1 && 'A' <= word[0] && word[0] <= 'Z', startsWith(following, 'a', 'z'):
		return append(tokens, lower)
	case abbreviationsOfNumbers[word] && startsWith(following, '0', '9'):
		return append(tokens, lower)
	}
	return append(tokens, pytext.Lower(word), ".")
}

var hasLetter = rule(`[α]`)

func startsWith(word string, first, last byte) bool {
	return word != "" && first <= word[0] && word[0] <= last
}

// abbreviations keep their full stop: titles and the like, as Moses lists them for
// English. Those of numbers keep it before a number.
var (
	abbreviations = wordSet(`
Adj Adm Adv Asst Bart Bldg Brig Bros Capt Cmdr Col Comdr Con Corp Cpl DR Dr Drs Ens Gen Gov Hon Hosp Hr Insp
Lt MM MR MRS MS Maj Messrs Mlle Mme Mr Mrs Ms Msgr Nos Nr Op Ord Pfc Ph Prof Pvt Rep Reps Res Rev Rt Sen Sens Sfc
Sgt Sr St Supt Surg e.g i.e rev v vs`)
	abbreviationsOfNumbers = wordSet("Art No pp")
)

// functionWords are the words that METEOR 1.5 counts as function words of English, its
// function/english.words: those that are more frequent than one in a thousand.
var functionWords = wordSet(`
a about after all also an and are as at be been but by can could first for from had has have he her his i if
in into is it its last more new no not of on one or other out over people s said she so some than that the
their there they this time to two up was we were what when which who will with would year years you
" $ ' 's 't ( ) , - -- -lrb- -rrb- . : ? — ’ “ ”`)

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		set[w] = true
	}
	return set
}
