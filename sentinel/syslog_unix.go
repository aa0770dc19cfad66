//go:build unix

package sentinel

import "log/syslog"

func openSyslog(ident, facility string) (func(LogLevel, string), error) {
	f := syslog.LOG_USER
	if n := len("local"); len(facility) > n {
		if d := facility[n] - '0'; d < 8 {
			f = syslog.LOG_LOCAL0 + syslog.Priority(d)<<3
		}
	}
	if facility == "user" {
		f = syslog.LOG_USER
	}
	w, err := syslog.New(f|syslog.LOG_NOTICE, ident)
	if err != nil {
		return nil, err
	}
	return func(l LogLevel, text string) {
		switch l {
		case LogDebug:
			_ = w.Debug(text)
		case LogVerbose:
			_ = w.Info(text)
		case LogNotice:
			_ = w.Notice(text)
		default:
			_ = w.Warning(text)
		}
	}, nil
}
