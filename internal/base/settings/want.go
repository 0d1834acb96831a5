package settings

import "fmt"

// Want returns an error unless ok: "epochs is 0, want 1 or more". [cmp.Or] gives the first of several.
func Want(ok bool, key string, got any, want string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%s is %v, want %s", key, got, want)
}
