package atomicfile

import (
	"math"

	"golang.org/x/sys/windows"
)

func free(dir string) (int64, bool) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false
	}
	var available uint64
	if windows.GetDiskFreeSpaceEx(name, &available, nil, nil) != nil {
		return 0, false
	}
	return int64(min(available, math.MaxInt64)), true
}
