//go:build !unix

package sentinel

import "errors"

func openSyslog(string, string) (func(LogLevel, string), error) {
	return nil, errors.New("there is no syslog on this system")
}
