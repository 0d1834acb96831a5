package atomicfile

import "golang.org/x/sys/windows"

// errQuota is that a volume has no more space; its own number is another than that of [syscall.ENOSPC].
const errQuota = windows.ERROR_DISK_FULL
