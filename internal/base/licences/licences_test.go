package licences

import (
	"reflect"
	"strings"
	"testing"
)

func TestPacked(t *testing.T) {
	list := []Component{{Name: "unimo", Files: []File{{"LICENSE", "a <b> & \"c\"\n© d"}}}, {Name: "m", Version: "v1.0.0", Files: []File{{"licenses/a", "x"}, {"NOTICE", "y"}}}}
	raw, err := Pack(list)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Unpack(raw); err != nil || !reflect.DeepEqual(got, list) {
		t.Errorf("%v: %v", err, got)
	}
	for _, broken := range [][]byte{nil, raw[:len(raw)-9], []byte("LICENSE")} {
		if _, err := Unpack(broken); err == nil || !strings.HasPrefix(err.Error(), "unpack the licences: ") {
			t.Errorf("%q: %v", broken, err)
		}
	}
	var b strings.Builder
	if err := Write(&b, list[1:]); err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("=", 80)
	if want := "\n" + line + "\nm v1.0.0\n" + line + "\n\n--- licenses/a\n\nx\n\n--- NOTICE\n\ny\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
}
