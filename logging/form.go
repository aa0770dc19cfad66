package logging

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ncruces/go-strftime"

	"picket/cause"
	"picket/printable"
)

// maxLine is the longest line of the mosquitto format in bytes, timestamp included, as mosquitto has it.
const maxLine = 1000

// cutMark stands where a line was cut.
const cutMark = "... (line cut)"

// A former turns what is to be said into one line that ends with a newline.
type former struct {
	format     Format
	timestamp  bool
	timeFormat string
	words      func(line string) string
}

func newFormer(c Config) former {
	return former{format: c.Format, timestamp: c.Timestamp, timeFormat: c.TimestampFormat, words: c.Words}
}

func (f former) append(dst []byte, now time.Time, t Type, id cause.ID, format string, args []any) []byte {
	if f.format != Mosquitto {
		return f.appendRecord(dst, now, t, id, format, args)
	}
	start := len(dst)
	if f.timestamp {
		dst = f.appendTime(dst, now)
		dst = append(dst, ": "...)
	}
	text := len(dst)
	if f.words != nil {
		dst = append(dst, f.words(fmt.Sprintf(format, args...))...)
	} else {
		dst = fmt.Appendf(dst, format, args...)
	}
	if len(format) > 0 && format[0] == '\t' {
		text++
	}
	dst = printable.Append(dst, text)
	tail := 0
	if id != "" {
		tail = len(" []") + len(id)
	}
	if len(dst)-start+tail > maxLine {
		keep := max(start+maxLine-tail-len(cutMark), start)
		for keep > start && !utf8.RuneStart(dst[keep]) {
			keep--
		}
		dst = append(dst[:keep], cutMark...)
	}
	if id != "" {
		dst = append(dst, " ["...)
		dst = append(dst, id...)
		dst = append(dst, ']')
	}
	return append(dst, '\n')
}

func (f former) appendTime(dst []byte, now time.Time) []byte {
	if f.timeFormat == "" {
		return strconv.AppendInt(dst, now.Unix(), 10)
	}
	return strftime.AppendFormat(dst, f.timeFormat, now)
}

// appendRecord forms a line by slog's handlers. The one for text escapes what cannot be printed; the one for JSON only what JSON demands.
func (f former) appendRecord(dst []byte, now time.Time, t Type, id cause.ID, format string, args []any) []byte {
	if !f.timestamp {
		now = time.Time{} // slog leaves a zero time out
	}
	opts := &slog.HandlerOptions{Level: slog.LevelDebug}
	if f.timeFormat != "" {
		opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				a.Value = slog.StringValue(strftime.Format(f.timeFormat, a.Value.Time()))
			}
			return a
		}
	}
	start := len(dst)
	out := bytes.NewBuffer(dst)
	var h slog.Handler = slog.NewTextHandler(out, opts)
	if f.format == JSON {
		h = slog.NewJSONHandler(out, opts)
	}
	if len(format) > 0 && format[0] == '\t' {
		format = format[1:] // mosquitto's indent of a continuation; a record stands alone
	}
	r := slog.NewRecord(now, level(t), fmt.Sprintf(format, args...), 0)
	r.AddAttrs(slog.String("type", t.String()))
	if id != "" {
		r.AddAttrs(slog.String("cause", string(id)))
	}
	// A handler's only error is that of its writer, and a bytes.Buffer has none.
	_ = h.Handle(context.Background(), r)
	if f.format == JSON {
		return append(printable.JSON(bytes.TrimSuffix(out.Bytes(), []byte("\n")), start), '\n')
	}
	return out.Bytes()
}

func level(t Type) slog.Level {
	switch {
	case t&Error != 0:
		return slog.LevelError
	case t&Warning != 0:
		return slog.LevelWarn
	case t&(Debug|Internal|WebSockets) != 0:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
