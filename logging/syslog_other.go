//go:build windows || plan9

package logging

import (
	"errors"
	"runtime"
)

func openSyslog(int) (writer, error) {
	return nil, errors.New(runtime.GOOS + " has no syslog; log to a file or to stderr instead")
}
