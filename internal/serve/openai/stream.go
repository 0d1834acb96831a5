package openai

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
)

// rand64 draws a seed for who gives none.
func rand64() uint64 { return rand.Uint64() >> 1 }

// events writes server-sent events. Nothing is written before the first one, so that what fails until then has a status of its own.
type events struct {
	w     http.ResponseWriter
	begun bool
}

// send writes a value as one event.
func (e *events) send(value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return e.write(raw)
}

// done writes the event that ends a stream in this protocol.
func (e *events) done() error { return e.write([]byte("[DONE]")) }

func (e *events) write(data []byte) error {
	if !e.begun {
		e.begun = true
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // proxies pass pieces on at once
		e.w.WriteHeader(http.StatusOK)
	}
	if _, err := e.w.Write(append(append([]byte("data: "), data...), "\n\n"...)); err != nil {
		return err
	}
	return http.NewResponseController(e.w).Flush()
}

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
