package metrics

import "strings"

// porter is the stemmer of ROUGE-1.5.5: M. F. Porter, "An algorithm for suffix
// stripping", Program 14 (1980), with the two suffixes that its author added later
// (-bli and -logi) and, as that script has it, with a fourth step that strips up to
// four suffixes one after the other (departmental becomes depart), where Porter's
// strips one. word is in lower case and of the bytes a-z and 0-9.
func porter(word string) string {
	if len(word) < 3 || len(word) > maxStemmed {
		return word
	}
	w := stem(word)
	// Plurals.
	switch {
	case w.ends("sses"), w.ends("ies"):
		w = w[:len(w)-2]
	case w.ends("s") && !w.ends("ss"):
		w = w[:len(w)-1]
	}
	// Past and -ing forms.
	switch {
	case w.ends("eed"):
		if w.cut("eed").measure() > 0 {
			w = w[:len(w)-1]
		}
	case w.ends("ed") && w.cut("ed").hasVowel():
		w = w.cut("ed").restore()
	case w.ends("ing") && w.cut("ing").hasVowel():
		w = w.cut("ing").restore()
	}
	if w.ends("y") && w.cut("y").hasVowel() {
		w = w.cut("y") + "i"
	}
	w = w.replace(doubleSuffixes)
	w = w.replace(simpleSuffixes)
	w = w.strip(lastSuffixes...)
	w = w.strip("ment")
	if w.ends("ent") {
		w = w.strip("ent")
	} else if w.ends("sion") || w.ends("tion") {
		w = w.strip("ion")
	}
	if w.ends("e") {
		s := w.cut("e")
		if m := s.measure(); m > 1 || m == 1 && !s.isShort() {
			w = s
		}
	}
	if w.ends("ll") && w.measure() > 1 {
		w = w[:len(w)-1]
	}
	return string(w)
}

// doubleSuffixes and simpleSuffixes are replaced after a stem of measure above 0,
// lastSuffixes are removed after one of measure above 1. A suffix stands behind those
// that end in it.
var (
	doubleSuffixes = [][2]string{
		{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"}, {"bli", "ble"},
		{"alli", "al"}, {"entli", "ent"}, {"eli", "e"}, {"ousli", "ous"}, {"ization", "ize"}, {"ation", "ate"},
		{"ator", "ate"}, {"alism", "al"}, {"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},
		{"iviti", "ive"}, {"biliti", "ble"}, {"logi", "log"},
	}
	simpleSuffixes = [][2]string{
		{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""},
	}
	lastSuffixes = []string{
		"al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ou", "ism", "ate", "iti", "ous", "ive", "ize",
	}
)

// stem is a word on its way to its stem.
type stem string

func (s stem) ends(suffix string) bool { return strings.HasSuffix(string(s), suffix) }

// cut returns the word without a suffix that it has.
func (s stem) cut(suffix string) stem { return s[:len(s)-len(suffix)] }

// consonant says whether letter i is a consonant: y is one at the start and after a vowel.
func (s stem) consonant(i int) bool {
	switch s[i] {
	case 'a', 'e', 'i', 'o', 'u':
		return false
	case 'y':
		return i == 0 || !s.consonant(i-1)
	}
	return true
}

func (s stem) hasVowel() bool {
	for i := range len(s) {
		if !s.consonant(i) {
			return true
		}
	}
	return false
}

// measure counts how often consonants follow vowels.
func (s stem) measure() (m int) {
	vowel := false
	for i := range len(s) {
		c := s.consonant(i)
		if c && vowel {
			m++
		}
		vowel = !c
	}
	return m
}

// isShort says whether the word is consonants, one vowel and one consonant other than
// w, x and y, as "hop" is, which has lost an e or keeps it.
func (s stem) isShort() bool {
	n := len(s)
	return n >= 3 && s.measure() == 1 && s.consonant(n-1) && !s.consonant(n-2) && s.consonant(n-3) &&
		!strings.Contains("wxy", string(s[n-1:]))
}

// restore gives a word that lost -ed or -ing its e back, or takes one of two equal
// consonants away.
func (s stem) restore() stem {
	n := len(s)
	switch {
	case s.ends("at"), s.ends("bl"), s.ends("iz"):
		return s + "e"
	case n >= 2 && s[n-1] == s[n-2] && !strings.Contains("aeiouylsz", string(s[n-1:])):
		return s[:n-1]
	case s.isShort():
		return s + "e"
	}
	return s
}

// replace replaces the first of the suffixes that the word has.
func (s stem) replace(suffixes [][2]string) stem {
	for _, suffix := range suffixes {
		if s.ends(suffix[0]) {
			if front := s.cut(suffix[0]); front.measure() > 0 {
				return front + stem(suffix[1])
			}
			return s
		}
	}
	return s
}

// strip removes the first of the suffixes that the word has.
func (s stem) strip(suffixes ...string) stem {
	for _, suffix := range suffixes {
		if s.ends(suffix) {
			if front := s.cut(suffix); front.measure() > 1 {
				return front
			}
			return s
		}
	}
	return s
}
