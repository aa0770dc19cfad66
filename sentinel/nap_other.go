//go:build !linux

package sentinel

import "time"

// nap does nothing where nothing is known to be gained.
func nap(time.Duration) {}
