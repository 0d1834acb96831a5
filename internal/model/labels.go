package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Labels are the names of classes by their ids: "0" -> "negative".
type Labels map[string]string

// UnmarshalJSON implements [json.Unmarshaler]. Of equal ids a map alone would keep the last.
func (l *Labels) UnmarshalJSON(raw []byte) error {
	var all map[string]string
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.Token()
	seen := map[any]bool{}
	for dec.More() {
		id, _ := dec.Token()
		if seen[id] {
			return fmt.Errorf("id2label has the id %q twice", id)
		}
		seen[id] = true
		dec.Token() // its name
	}
	*l = all
	return nil
}

// check returns an error unless the ids are those of so many classes. Without a label there is none to check.
func (l Labels) check(classes int) error {
	if len(l) == 0 {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(l)) {
		if n, err := strconv.Atoi(id); err != nil || n < 0 || n >= classes || strconv.Itoa(n) != id {
			return fmt.Errorf("id2label has the id %.80q; number the %d labels 0 to %d", id, classes, classes-1)
		}
	}
	for i := range classes {
		if _, ok := l[strconv.Itoa(i)]; !ok {
			return fmt.Errorf("id2label has no id \"%d\"; number the %d labels 0 to %d", i, classes, classes-1)
		}
	}
	return nil
}
