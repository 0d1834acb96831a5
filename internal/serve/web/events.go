package web

import (
	"encoding/json"
	"net/http"
)

// Events writes server-sent events. Nothing is written before the first one, so that what fails until then has a status of its own.
type Events struct {
	W     http.ResponseWriter
	begun bool
}

// Begun says whether an event was written.
func (e *Events) Begun() bool { return e.begun }

// Send writes a value as one event, of one line of JSON, and passes it on at once.
func (e *Events) Send(value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return e.write(raw)
}

// Done writes the event that ends a stream, as OpenAI's do.
func (e *Events) Done() error { return e.write([]byte("[DONE]")) }

func (e *Events) write(data []byte) error {
	if !e.begun {
		e.begun = true
		h := e.W.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // a proxy such as nginx passes events on at once
		e.W.WriteHeader(http.StatusOK)
	}
	if _, err := e.W.Write(append(append([]byte("data: "), data...), "\n\n"...)); err != nil {
		return err
	}
	return http.NewResponseController(e.W).Flush()
}
