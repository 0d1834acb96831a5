package model

import (
	"errors"
	"fmt"
)

// ErrWrongTask is what errors about a model that was made for another kind of task are.
var ErrWrongTask = errors.New("a model for another kind of task")

// wrongTask is such an error.
type wrongTask string

// WrongTaskf makes an error that is [ErrWrongTask].
func WrongTaskf(format string, args ...any) error { return wrongTask(fmt.Sprintf(format, args...)) }

func (e wrongTask) Error() string { return string(e) }

// Is implements what [errors.Is] asks for.
func (wrongTask) Is(target error) bool { return target == ErrWrongTask }
