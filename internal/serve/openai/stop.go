package openai

import "strings"

// stopper cuts a text that comes in pieces at the first of some stop sequences, which may begin in one piece and end in another.
type stopper struct {
	stops []string
	held  string // the end of what came, which may be the begin of a sequence
}

// next returns what of the text so far is certain to stand before a sequence, and whether one was met.
func (s *stopper) next(piece string) (certain string, stopped bool) {
	s.held += piece
	first := -1
	for _, stop := range s.stops {
		if i := strings.Index(s.held, stop); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		certain, s.held = s.held[:first], ""
		return certain, true
	}
	keep := 0 // the longest end that is the begin of a sequence
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(s.held)); n > keep; n-- {
			if strings.HasSuffix(s.held, stop[:n]) {
				keep = n
			}
		}
	}
	certain, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return certain, false
}

// rest is what was held back when the text ended.
func (s *stopper) rest() string {
	rest := s.held
	s.held = ""
	return rest
}
