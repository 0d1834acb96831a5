//go:build !windows

package atomicfile

import "syscall"

// errQuota is that a user has no more space.
const errQuota = syscall.EDQUOT
