//go:build !windows && !plan9

package logging

import (
	"fmt"
	"log/syslog"
)

// syslogWriter sends each line to the system's log with the priority of its type.
type syslogWriter struct{ w *syslog.Writer }

func openSyslog(facility int) (writer, error) { return dialSyslog("", "", facility) }

// dialSyslog connects to the local system log, or to the one at address if network is not empty.
func dialSyslog(network, address string, facility int) (writer, error) {
	priority := syslog.LOG_DAEMON
	switch {
	case facility >= 0 && facility <= 7:
		priority = syslog.LOG_LOCAL0 + syslog.Priority(facility<<3)
	case facility != -1:
		return nil, fmt.Errorf("log_facility %d: want 0 to 7 (local0 to local7)", facility)
	}
	w, err := syslog.Dial(network, address, priority|syslog.LOG_INFO, "picket")
	if err != nil {
		return nil, fmt.Errorf("%w: no system log takes messages here; log to a file or to stderr instead", err)
	}
	return syslogWriter{w}, nil
}

func (s syslogWriter) write(b batch) error {
	var first error
	b.each(func(t Type, line []byte) {
		var err error
		switch text := string(line); {
		case t&Error != 0:
			err = s.w.Err(text)
		case t&Warning != 0:
			err = s.w.Warning(text)
		case t&(Notice|Subscribe|Unsubscribe) != 0:
			err = s.w.Notice(text)
		case t&Info != 0:
			err = s.w.Info(text)
		default:
			err = s.w.Debug(text)
		}
		if first == nil {
			first = err
		}
	})
	return first
}

func (s syslogWriter) close() { _ = s.w.Close() }
