package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"picket/doctor"
)

// Windows' numbers for what syscall names after Unix; no other system has errors with these numbers.
const (
	wsaConnRefused     = syscall.Errno(10061)
	wsaConnReset       = syscall.Errno(10054)
	wsaConnAborted     = syscall.Errno(10053)
	wsaHostUnreachable = syscall.Errno(10065)
	wsaNetUnreachable  = syscall.Errno(10051)
	wsaTimedOut        = syscall.Errno(10060)
)

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// dialResult names the error of a connection attempt.
func dialResult(ctx context.Context, err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return doctor.Open
	case isAny(err, syscall.ECONNREFUSED, wsaConnRefused):
		return doctor.Refused
	case isAny(err, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, wsaHostUnreachable):
		return doctor.HostUnreachable
	case isAny(err, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, wsaNetUnreachable):
		return doctor.NetUnreachable
	case isAny(err, syscall.ECONNRESET, syscall.ECONNABORTED, wsaConnReset, wsaConnAborted):
		return doctor.WasReset
	case ctx.Err() != nil, isAny(err, syscall.ETIMEDOUT, wsaTimedOut), errors.As(err, &timeout) && timeout.Timeout():
		return doctor.TimedOut
	}
	return doctor.Failed
}

// endResult names the error of a connection that was open: TimedOut, WasReset or WasClosed.
func endResult(err error) string {
	switch {
	case isAny(err, os.ErrDeadlineExceeded, context.DeadlineExceeded):
		return doctor.TimedOut
	case isAny(err, io.EOF, io.ErrUnexpectedEOF):
		return doctor.WasClosed
	case isAny(err, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, wsaConnReset, wsaConnAborted):
		return doctor.WasReset
	case isAny(err, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, wsaTimedOut):
		return doctor.TimedOut
	}
	return doctor.WasClosed
}
