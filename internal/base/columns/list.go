package columns

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// List reads the texts of a list as JSON has it, or as pandas writes one of Python or NumPy
// into a table: ['A dog.', "It's"], or without commas.
func List(s string) (texts []string, ok bool) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") {
		return nil, false
	}
	if json.Unmarshal([]byte(s), &texts) == nil {
		return texts, true
	}
	texts = nil
	for rest := strings.TrimSpace(s[1 : len(s)-1]); rest != ""; {
		m := pythonText.FindStringSubmatch(rest)
		if m == nil {
			return nil, false
		}
		text, err := unquote(m[1])
		if err != nil {
			return nil, false
		}
		texts = append(texts, text)
		rest = rest[len(m[0]):]
	}
	return texts, texts != nil
}

// pythonText is a text as Python writes it, and what follows it in a list.
var pythonText = regexp.MustCompile(`^('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")(?:\s*,\s*|\s+|$)`)

// unquote reads a text in quotes as Go does, which escapes as Python does; of quotes Python escapes both.
func unquote(s string) (string, error) {
	quote, rest := s[0], s[1:len(s)-1]
	var text strings.Builder
	for rest != "" {
		if strings.HasPrefix(rest, `\'`) || strings.HasPrefix(rest, `\"`) {
			text.WriteByte(rest[1])
			rest = rest[2:]
			continue
		}
		if rest[0] >= utf8.RuneSelf { // also what is not UTF-8 stays
			text.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		r, _, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil {
			return "", err
		}
		text.WriteRune(r)
		rest = tail
	}
	return text.String(), nil
}
