//go:build !linux

package bench

import (
	"context"
	"syscall"
	"time"
)

// manySources: only 127.0.0.1 can be counted on.
const manySources = false

func bindNoPort(context.Context, string, string, syscall.RawConn) error { return nil }

func pause(d time.Duration) { time.Sleep(d) }
