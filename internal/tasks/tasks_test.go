package tasks_test

import (
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

func TestDefaultsAreValid(t *testing.T) {
	for _, name := range tasks.All.Names() {
		for _, size := range []string{"mini", "base", "large"} {
			s, err := run.Defaults(find(t, name), size)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(func(string) bool { return false }); err != nil {
				t.Errorf("%s, %s: %v", name, size, err)
			}
			for _, setting := range settings.List(s) {
				if setting.Help == "" || setting.Key != strings.ToLower(setting.Key) {
					t.Errorf("setting %q has no help, or is not snake case", setting.Key)
				}
			}
		}
	}
}
