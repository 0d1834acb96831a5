package rewrite

import "strings"

// plurals are the nouns that form it otherwise.
var plurals = map[string]string{
	"men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot", "teeth": "tooth", "mice": "mouse", "geese": "goose",
	"oxen": "ox", "wolves": "wolf", "knives": "knife", "leaves": "leaf", "shelves": "shelf", "scarves": "scarf", "calves": "calf", "halves": "half",
	"loaves": "loaf", "wives": "wife", "lives": "life", "elves": "elf", "hooves": "hoof", "policemen": "policeman", "firemen": "fireman",
	"snowmen": "snowman", "fishermen": "fisherman", "gentlemen": "gentleman", "businessmen": "businessman", "sportsmen": "sportsman",
	"movies": "movie", "cookies": "cookie", "hoodies": "hoodie", "selfies": "selfie", "birdies": "birdie", "ties": "tie", "pies": "pie", "canoes": "canoe", "shoes": "shoe",
	"toes": "toe", "horseshoes": "horseshoe", "snowshoes": "snowshoe", "horses": "horse", "houses": "house", "noses": "nose", "hoses": "hose", "roses": "rose", "vases": "vase", "bases": "base",
	"purses": "purse", "cases": "case", "causes": "cause", "races": "race", "axes": "axe", "caches": "cache",
}

// unchanged are nouns that end like plurals and are none, or are the same in both.
var unchanged = set("clothes grass glass dress bus gas lens class cross canvas octopus cactus pants jeans shorts trousers leggings sunglasses glasses goggles " +
	"scissors binoculars overalls pajamas tennis lacrosse moss boss bass mass pass mess compass mattress business harness fortress princess " +
	"actress waitress hostess darkness wilderness always across us is was has this his its as christmas campus circus chess christmas stairs")

// singular returns the singular of a noun in lower case. Other words come out in some
// form that is the same for the same word.
func singular(w string) string {
	if one, ok := plurals[w]; ok {
		return one
	}
	n := len(w)
	switch {
	case n < 4 || unchanged[w] || !strings.HasSuffix(w, "s") || strings.HasSuffix(w, "ss") || strings.HasSuffix(w, "us") || strings.HasSuffix(w, "is"):
		return w
	case strings.HasSuffix(w, "ies"):
		return w[:n-3] + "y"
	case strings.HasSuffix(w, "ches") || strings.HasSuffix(w, "shes") || strings.HasSuffix(w, "sses") || strings.HasSuffix(w, "xes") ||
		strings.HasSuffix(w, "zzes") || strings.HasSuffix(w, "oes") || strings.HasSuffix(w, "buses"):
		return w[:n-2]
	}
	return w[:n-1]
}

// irregular are the verbs that do not follow [infinitive]'s rules.
var irregular = pairs("is be are be was be were be been be am be being be 's be has have had have having have does do did do done do doing do goes go went go " +
	"gone go sat sit stood stand ran run held hold wore wear worn wear rode ride ridden ride ate eat eaten eat drank drink threw throw thrown throw " +
	"caught catch took take taken take taking take made make gave give given give came come got get swam swim swum swim flew fly flown fly " +
	"fell fall fallen fall led lead left leave lay lie laid lay lying lie laying lie lain lie dug dig sang sing slept sleep spoke speak hung hang bent bend " +
	"built build bought buy brought bring drew draw drawn draw drove drive driven drive felt feel fought fight kept keep knelt kneel leapt leap " +
	"met meet shot shoot shone shine slid slide stuck stick struck strike swung swing told tell wrote write written write blew blow blown blow " +
	"using use used use uses use seeing see saw see seen see dying die tying tie skiing ski seated sit seating sit dressed dress dressing dress " +
	"kissing kiss passing pass crossing cross falling fall rolling roll pulling pull calling call filling fill yelling yell selling sell " +
	"riding ride biting bite writing write gliding glide guiding guide sliding slide")

// infinitive returns the base form of a verb in lower case. Other words come out in some
// form that is the same for the same word.
func infinitive(w string) string {
	if base, ok := irregular[w]; ok {
		return base
	}
	n := len(w)
	switch {
	case n > 5 && strings.HasSuffix(w, "ing") && strings.ContainsAny(w[:n-3], vowels+"y"):
		return base(w[:n-3])
	case n > 4 && strings.HasSuffix(w, "ied"):
		return w[:n-3] + "y"
	case n > 4 && strings.HasSuffix(w, "ed") && !strings.HasSuffix(w, "eed") && strings.ContainsAny(w[:n-2], vowels+"y"):
		return base(w[:n-2])
	}
	return singular(w) // a verb's -s is a noun's
}

const vowels = "aeiou"

// base mends what is left of a verb without its ending: runn is run, rid is ride.
func base(w string) string {
	n := len(w)
	vowel := func(i int) bool { return i >= 0 && strings.IndexByte(vowels, w[i]) >= 0 }
	last := w[n-1]
	switch {
	case n < 3:
		return w + "e"
	case last == w[n-2] && !vowel(n-1) && !strings.ContainsRune("lsz", rune(last)):
		return w[:n-1]
	case strings.ContainsRune("cvzug", rune(last)) && !strings.HasSuffix(w, "ng"), // dance, leave, gaze, argue, charge
		last == 's' && w[n-2] != 's',                                   // raise
		last == 'l' && strings.ContainsRune("bcdfgkptz", rune(w[n-2])): // juggle
		return w + "e"
	case !vowel(n-1) && vowel(n-2) && !vowel(n-3) && !strings.ContainsRune("wxy", rune(last)) && strings.Count(strings.Map(vowelsOnly, w), "v") == 1:
		return w + "e" // skate
	}
	return w
}

func vowelsOnly(r rune) rune {
	if strings.ContainsRune(vowels, r) {
		return 'v'
	}
	return -1
}

// set makes a set of the words of a text.
func set(text string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		m[w] = true
	}
	return m
}

// pairs makes a map of words that stand in pairs.
func pairs(text string) map[string]string {
	words := strings.Fields(text)
	m := make(map[string]string, len(words)/2)
	for i := 0; i+1 < len(words); i += 2 {
		m[words[i]] = words[i+1]
	}
	return m
}
