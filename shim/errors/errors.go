// Package errors stands in for github.com/cockroachdb/errors, through a replace directive in the repository's go.mod: it has what the storage
// engine calls of it, on top of the standard library's errors and fmt.
//
// The original carries a crash reporter's client (Sentry) and two more encoders of protocol buffers into every program that links it, some
// two megabytes that a broker has no use for. What is left out here is stack traces and what is sent to other machines.
package errors

import (
	stderrors "errors"
	"fmt"

	"github.com/cockroachdb/redact"
)

// New makes an error of a text.
func New(text string) error { return stderrors.New(text) }

// Newf makes an error of a formatted text; %w wraps.
func Newf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// Errorf is [Newf].
func Errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// Wrap puts a text before the error's own; nil stays nil.
func Wrap(err error, text string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", text, err)
}

// Wrapf is [Wrap] with a formatted text.
func Wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return Wrap(err, fmt.Sprintf(format, args...))
}

// WithStack gives the error back: no stack traces are kept.
func WithStack(err error) error { return err }

// noted is an error with a remark that does not belong to its own text, or with a second error that does not count for Is and As.
type noted struct {
	error
	note string
}

// Unwrap gives the error that the remark is about.
func (n *noted) Unwrap() error { return n.error }

// Format adds the remark where details are asked for (%+v).
func (n *noted) Format(s fmt.State, verb rune) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), n.error)
	if verb == 'v' && s.Flag('+') {
		fmt.Fprintf(s, " (%s)", n.note)
	}
}

func note(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &noted{err, fmt.Sprintf(format, args...)}
}

// WithDetailf adds a detail, shown by %+v; nil stays nil.
func WithDetailf(err error, format string, args ...any) error { return note(err, format, args...) }

// WithHintf adds a hint, shown by %+v; nil stays nil.
func WithHintf(err error, format string, args ...any) error { return note(err, format, args...) }

// WithSafeDetails adds a detail, shown by %+v; nil stays nil.
func WithSafeDetails(err error, format string, args ...any) error {
	return note(err, format, args...)
}

// WithSecondaryError notes an error that came up while the first was handled; nil stays nil.
func WithSecondaryError(err, second error) error {
	if second == nil {
		return err
	}
	return note(err, "%v", second)
}

// CombineErrors gives the first error with the second as a remark, or the one of them that is not nil.
func CombineErrors(err, second error) error {
	if err == nil {
		return second
	}
	return WithSecondaryError(err, second)
}

// marked is an error that also counts as another one.
type marked struct {
	error
	mark error
}

// Unwrap gives both, for Is and As.
func (m *marked) Unwrap() []error { return []error{m.error, m.mark} }

// Mark has err count as reference for [Is], with its own text; nil stays nil.
func Mark(err, reference error) error {
	if err == nil || reference == nil {
		return err
	}
	return &marked{err, reference}
}

// Is is the standard library's.
func Is(err, target error) bool { return stderrors.Is(err, target) }

// As is the standard library's.
func As(err error, target any) bool { return stderrors.As(err, target) }

// Join is the standard library's.
func Join(errs ...error) error { return stderrors.Join(errs...) }

// UnwrapAll gives the innermost error of a chain.
func UnwrapAll(err error) error {
	for {
		var inner error
		switch e := err.(type) {
		case *marked:
			inner = e.error
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// assertion is an error that should not have been possible.
type assertion struct{ error }

// Unwrap gives the error with its text.
func (a *assertion) Unwrap() error { return a.error }

// AssertionFailedf makes an error that says that the program is wrong.
func AssertionFailedf(format string, args ...any) error {
	return &assertion{fmt.Errorf(format, args...)}
}

// IsAssertionFailure tells whether the error is itself one of [AssertionFailedf].
func IsAssertionFailure(err error) bool {
	_, is := err.(*assertion)
	return is
}

// Safe marks a value as one that may be shown unredacted.
func Safe(v any) redact.SafeValue { return redact.Safe(v) }
