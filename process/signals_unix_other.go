//go:build unix && !linux

package process

// pending is nothing here: only Linux shows a process signals that have not been delivered.
type pending struct{}

func (*pending) open()              {}
func (*pending) each(func(Request)) {}
func (*pending) close()             {}
