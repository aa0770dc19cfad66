//go:build !linux

package gather

import (
	"errors"

	"picket/doctor/host"
)

var errOtherSystem = errors.New("the doctor knows how on Linux only")

func diskOf(string) (host.Disk, error) { return host.Disk{}, errOtherSystem }

func clockOf() (host.Clock, error) { return host.Clock{}, errOtherSystem }

// capable tells whether a program's file gives capabilities to whoever runs it; they are Linux's.
func capable(string) bool { return false }
