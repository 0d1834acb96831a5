package pull

import (
	"time"

	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
)

// readPins wants of files whose sum no source says what was seen first.
func (p *pulling) readPins() error {
	pins, err := p.Cache.Pins()
	if err != nil {
		return err
	}
	for _, f := range p.plan.Files {
		if pin, ok := pins.Files[f.url]; ok && f.pin {
			f.sum = fetch.Sum{Algorithm: fetch.SHA256, Hex: pin.SHA256, From: "what " + hub.LockFile + " has of " + pin.Seen + "; if the new one is right, remove it there"}
			f.blob, f.SHA256, f.Size, f.pin = pin.SHA256, pin.SHA256, pin.Bytes, false
		}
	}
	return nil
}

// writePins notes what such files are now.
func (p *pulling) writePins() error {
	for _, f := range p.plan.Files {
		p.pinned = p.pinned || f.pin
	}
	if !p.pinned {
		return nil
	}
	return p.Cache.Pin(func(pins *hub.Pins) {
		for _, f := range p.plan.Files {
			if f.pin {
				pins.Files[f.url] = hub.Pin{SHA256: f.SHA256, Bytes: f.Size, Seen: time.Now().UTC().Format(time.DateOnly)}
			}
		}
	})
}
