package logging

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ncruces/go-strftime"

	"picket/cause"
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
}

func newFormer(c Config) former {
	return former{format: c.Format, timestamp: c.Timestamp, timeFormat: c.TimestampFormat}
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
	dst = fmt.Appendf(dst, format, args...)
	if len(format) > 0 && format[0] == '\t' {
		text++
	}
	dst = escape(dst, text)
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

// appendRecord forms a line by slog's handlers, which do their own escaping.
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

// escape replaces in line[from:] what must not reach a terminal or a log parser raw: control characters (\x1b, \n), bytes
// that are not UTF-8, and the characters that turn the direction of writing around. Most lines have none of these and are
// returned as they are.
func escape(line []byte, from int) []byte {
	if from >= len(line) {
		return line
	}
	i := from
	for i < len(line) && line[i] >= ' ' && line[i] < 0x7f {
		i++
	}
	if i == len(line) {
		return line
	}
	rest := append([]byte(nil), line[i:]...)
	line = line[:i]
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			line = fmt.Appendf(line, `\x%02x`, rest[0])
		case r == '\n':
			line = append(line, `\n`...)
		case r == '\r':
			line = append(line, `\r`...)
		case r == '\t':
			line = append(line, `\t`...)
		case r < ' ' || r == 0x7f:
			line = fmt.Appendf(line, `\x%02x`, r)
		case !unicode.IsPrint(r) && r != ' ':
			line = fmt.Appendf(line, `\u%04x`, r)
		default:
			line = append(line, rest[:size]...)
		}
		rest = rest[size:]
	}
	return line
}
