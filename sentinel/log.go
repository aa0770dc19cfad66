package sentinel

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"picket/sentinel/machine"
)

// LogLevel is the least severity that is logged.
type LogLevel int32

// The levels of loglevel.
const (
	LogDebug LogLevel = iota
	LogVerbose
	LogNotice
	LogWarning
	LogNothing
)

var logLevelNames = []string{"debug", "verbose", "notice", "warning", "nothing"}

func (l LogLevel) String() string { return logLevelNames[l] }

func parseLogLevel(s string) (LogLevel, bool) {
	for i, n := range logLevelNames {
		if strings.EqualFold(s, n) {
			return LogLevel(i), true
		}
	}
	return 0, false
}

// logger writes Redis' log lines: PID:X, the time, a mark for the level, the text.
type logger struct {
	level  atomic.Int32
	mu     sync.Mutex
	out    io.Writer
	file   *os.File // out, where it is a file of ours
	syslog func(level LogLevel, text string)
	pid    int
	path   string    // of file
	looked time.Time // when the path was last seen to be that of file
}

// lookEvery is how often a line looks whether the log file was renamed, as logrotate does it: from then on the lines go into a new one.
const lookEvery = time.Second

// reopen goes on in a new file where the old one no longer has its name. The mutex is held.
func (l *logger) reopen(now time.Time) {
	l.looked = now
	ours, err := l.file.Stat()
	if err == nil {
		if there, err := os.Stat(l.path); err == nil && os.SameFile(ours, there) {
			return
		}
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return // the old one is still better than none; the next line tries again
	}
	_ = l.file.Close() // all was written
	l.out, l.file = f, f
}

// rotate looks at once.
func (l *logger) rotate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.reopen(time.Now())
	}
}

func openLog(c *Config, stdout io.Writer) (*logger, error) {
	l := &logger{out: stdout, pid: os.Getpid()}
	l.level.Store(int32(c.LogLevel))
	if c.LogFile != "" {
		f, err := os.OpenFile(c.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("Can't open the log file: %w", err) //nolint:staticcheck // Redis' text
		}
		l.out, l.file = f, f
		if l.path, err = filepath.Abs(c.LogFile); err != nil {
			return nil, err
		}
	}
	if c.Syslog {
		var err error
		if l.syslog, err = openSyslog(c.SyslogIdent, c.SyslogFacility); err != nil {
			return nil, fmt.Errorf("syslog-enabled: %w", err)
		}
	}
	return l, nil
}

func (l *logger) enabled(level LogLevel) bool { return int32(level) >= l.level.Load() }

// text cleans what comes from others, so that it cannot forge a line.
var logCleaner = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\x1b", `\x1b`)

func (l *logger) printf(level LogLevel, format string, args ...any) {
	if !l.enabled(level) {
		return
	}
	text := logCleaner.Replace(fmt.Sprintf(format, args...))
	now := time.Now()
	line := fmt.Sprintf("%d:X %s %c %s\n", l.pid, now.Format("02 Jan 2006 15:04:05.000"), ".-*#"[level], text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && now.Sub(l.looked) >= lookEvery {
		l.reopen(now)
	}
	_, _ = io.WriteString(l.out, line)
	if l.syslog != nil {
		l.syslog(level, text)
	}
}

func (l *logger) close() {
	if l.file != nil {
		l.file.Close()
	}
}

func eventLevel(l machine.Level) LogLevel { return LogLevel(l) }
