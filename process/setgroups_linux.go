//go:build !386 && !arm

package process

import "golang.org/x/sys/unix"

// setgroups is the call that takes ids of 32 bits.
const setgroups = unix.SYS_SETGROUPS
