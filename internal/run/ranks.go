package run

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/settings"
)

// compare returns an error on all processes if one of them has an error, or would compute something else than the first.
func (r *run) compare(err error) error {
	var mine map[string]string
	if err == nil {
		mine = r.fingerprint()
	}
	ranks, err := collective.Gather(r.Group, mine, err)
	if err != nil {
		return err
	}
	var differ []string
	for rank, theirs := range ranks[1:] {
		keys := maps.Clone(ranks[0])
		maps.Copy(keys, theirs)
		var list []string
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if was, is := ranks[0][key], theirs[key]; was != is {
				list = append(list, fmt.Sprintf("%s is %s, on rank 0 %s", key, shortened(is), shortened(was)))
			}
		}
		if len(list) > 0 {
			differ = append(differ, fmt.Sprintf("rank %d: %s", rank+1, strings.Join(list, "; ")))
		}
	}
	if differ == nil {
		return nil
	}
	return r.agree(&differError{fmt.Errorf("the ranks would not compute the same, so nothing is trained (%s); give all of them the same program, settings and data, on processors of one kind", strings.Join(differ, "; "))})
}

// differError is what ranks that are called differently end with.
type differError struct{ error }

// WrongUse implements the method of [collective.IsWrongUse].
func (*differError) WrongUse() bool { return true }

// fingerprint is what processes must have in common to compute the same.
func (r *run) fingerprint() map[string]string {
	print := map[string]string{"task": r.Task.Name, "version of random numbers": fmt.Sprint(r.info.Random)}
	for key, value := range r.info.Version {
		print["version of "+key] = value
	}
	for key, digest := range r.info.Data {
		print["content of "+key] = digest
	}
	for _, s := range settings.List(r.settings) {
		if s.Tag.Get(tag) == "" {
			print[s.Key] = fmt.Sprint(s.Value)
		}
	}
	return print
}

// shortened is a value in a message: of a digest the first digits.
func shortened(value string) string {
	const most = 40
	switch {
	case value == "":
		return "not there"
	case len(value) == 64:
		return value[:12]
	case len(value) > most:
		return value[:most] + "..."
	}
	return value
}
