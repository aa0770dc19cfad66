package admin

import (
	"fmt"
	"time"
)

// ParseTime reads when something ends: a time with its zone (RFC 3339), a local time with or without a date ("2026-12-01T06:00",
// "2026-12-01 06:00", "06:00" for the next six o'clock), or how long from now ("90m", "2h30m").
func ParseTime(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(form, s, now.Location()); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse("15:04", s); err == nil {
		at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location())
		if !at.After(now) {
			at = at.AddDate(0, 0, 1)
		}
		return at, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d).Truncate(time.Second), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2026-12-01T06:00, 06:00, 2h30m, or 2026-12-01T06:00:00+01:00", s)
}
