package pull

import (
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/hub"
)

// Licence is what a source says about a model's licence.
type Licence struct {
	ID     string // as the source calls it; "": it says none
	Name   string // of one that is none of the known ones
	Link   string
	Forbid string // what it forbids, as far as its name says; "": nothing that must be asked about
}

func (l Licence) String() string {
	parts := []string{l.ID}
	if l.Name != "" && l.Name != l.ID {
		parts = append(parts, l.Name)
	}
	if l.Link != "" {
		parts = append(parts, l.Link)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// free are licences that allow any use, by how their identifiers begin.
var free = []string{
	"apache-", "mit", "bsd", "isc", "cc0", "cc-by-1", "cc-by-2", "cc-by-3", "cc-by-4", "cc-by-sa-", "unlicense", "zlib", "mpl-", "epl-", "eupl-", "gpl", "lgpl", "agpl",
	"artistic-", "afl-", "ecl-", "ofl-", "odc-by", "odbl", "pddl", "cdla-permissive", "cdla-sharing", "ms-pl", "ncsa", "osl-", "postgresql", "wtfpl", "bsl-1.0", "lppl-",
}

// judge says what a licence forbids.
func judge(l Licence) Licence {
	ids := strings.FieldsFunc(strings.ToLower(l.ID), func(r rune) bool { return strings.ContainsRune(" ,()", r) })
	words := strings.FieldsFunc(strings.Join(ids, " ")+" "+strings.ToLower(l.Name), func(r rune) bool { return r == '-' || r == ' ' || r == '_' })
	switch {
	case len(ids) == 0:
	case slices.Contains(words, "nc"), slices.Contains(words, "noncommercial"), slices.Contains(words, "research"):
		l.Forbid = "it forbids commercial use"
	case slices.Contains(words, "nd"):
		l.Forbid = "it forbids to hand on what is changed, as a fine-tuned model is"
	case slices.ContainsFunc(ids, func(id string) bool { return !allows(id) }):
		l.Forbid = "it may forbid some uses"
	}
	return l
}

// allows says whether one of several licences is free, or a word between them.
func allows(id string) bool {
	return id == "cc" || id == "and" || id == "or" || slices.ContainsFunc(free, func(prefix string) bool { return strings.HasPrefix(id, prefix) })
}

// licence asks about a licence that forbids something, once for a model.
func (p *pulling) licence() error {
	l, n := p.plan.Licence, p.plan.Name
	if l.Forbid == "" {
		return nil
	}
	n.Revision, n.Digest = "", ""
	pins, err := p.Cache.Pins()
	if err != nil || pins.Licences[n.String()] == l.String() {
		return err
	}
	accepted := p.Accept
	if !accepted && p.Ask != nil {
		if accepted, err = p.Ask(l); err != nil {
			return err
		}
	}
	if !accepted {
		return fmt.Errorf("%s has the licence %s: %s; read it, and accept it with --accept-licence", p.plan.Name, l, l.Forbid)
	}
	return p.Cache.Pin(func(pins *hub.Pins) { pins.Licences[n.String()] = l.String() })
}
