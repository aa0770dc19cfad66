//go:build !linux

package process

import "runtime/debug"

// Trim gives back memory that is free.
func Trim() { debug.FreeOSMemory() }
