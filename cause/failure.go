package cause

import "fmt"

// Failure is an error whose cause is known. It reads "TEXT [ID]", as a log line does.
type Failure struct {
	Cause ID
	Text  string // one line without a full stop
}

func (f *Failure) Error() string { return f.Text + " [" + string(f.Cause) + "]" }

// Fail makes a failure.
func Fail(id ID, format string, args ...any) *Failure {
	return &Failure{Cause: id, Text: fmt.Sprintf(format, args...)}
}
