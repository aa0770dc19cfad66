// Package timestamppb has a moment as the figures of Prometheus carry it: see package proto.
package timestamppb

import (
	"errors"
	"fmt"
	"time"
)

// Timestamp is a moment: seconds since 1970 in UTC, and nanoseconds of the second that has begun, from 0 to 999,999,999.
type Timestamp struct {
	Seconds int64
	Nanos   int32
}

// New makes one of a time.
func New(t time.Time) *Timestamp { return &Timestamp{t.Unix(), int32(t.Nanosecond())} }

// GetSeconds gives the seconds; 0 without a timestamp.
func (t *Timestamp) GetSeconds() int64 {
	if t == nil {
		return 0
	}
	return t.Seconds
}

// GetNanos gives the nanoseconds; 0 without a timestamp.
func (t *Timestamp) GetNanos() int32 {
	if t == nil {
		return 0
	}
	return t.Nanos
}

// AsTime gives the moment in UTC; that of no timestamp is the beginning of 1970.
func (t *Timestamp) AsTime() time.Time { return time.Unix(t.GetSeconds(), int64(t.GetNanos())).UTC() }

// CheckValid is nil for a moment within the years 1 to 9999.
func (t *Timestamp) CheckValid() error {
	switch {
	case t == nil:
		return errors.New("no timestamp")
	case t.Nanos < 0 || t.Nanos > 999_999_999:
		return fmt.Errorf("timestamp with %d nanoseconds", t.Nanos)
	case t.AsTime().Year() < 1 || t.AsTime().Year() > 9999:
		return fmt.Errorf("timestamp with %d seconds: it is not within the years 1 to 9999", t.Seconds)
	}
	return nil
}
