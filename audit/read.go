package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Bounds of reading, in bytes.
const (
	block   = 64 << 10 // that are read at once
	maxRead = 1 << 20  // for one page
)

// Page is a part of a journal, the newest entries first.
type Page struct {
	Items []Entry `json:"items"`
	Next  string  `json:"next,omitempty"` // the cursor of the part before; absent: this is the oldest
}

// ErrCursor refuses a cursor that is none.
var ErrCursor = errors.New("it is no cursor of this list")

// ErrMoved refuses a cursor of a file that is not the one in use any more.
var ErrMoved = errors.New("another audit file has been begun since that cursor was given: ask again from the newest on")

// Read returns at most limit entries, and looks at no more than one MiB: a page may be empty and yet have a next one. An empty cursor is the end of the file. Lines that
// are no entries are passed over.
func (j *Journal) Read(cursor string, limit int) (Page, error) {
	page := Page{Items: []Entry{}}
	if j == nil {
		return page, ErrNoFile
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.file == nil {
		return page, ErrNoFile
	}
	info, err := j.file.Stat()
	if err != nil {
		return page, err
	}
	end := info.Size()
	if cursor != "" {
		var life int
		var at int64
		if n, err := fmt.Sscanf(cursor, "%d-%d", &life, &at); n != 2 || err != nil || fmt.Sprintf("%d-%d", life, at) != cursor || at < 0 {
			return page, ErrCursor
		}
		if life != j.life || at > end {
			return page, ErrMoved
		}
		end = at
	}
	begin, err := page.fill(j.file, end, limit)
	if begin > 0 {
		page.Next = fmt.Sprintf("%d-%d", j.life, begin)
	}
	return page, err
}

// fill reads the lines before end backwards, and returns where the page begins.
func (p *Page) fill(from io.ReaderAt, end int64, limit int) (int64, error) {
	var data []byte
	begin := end
	for begin > 0 && len(data) < maxRead && bytes.Count(data, []byte{'\n'}) <= limit {
		n := min(block, begin)
		part := make([]byte, n, int(n)+len(data))
		if _, err := from.ReadAt(part, begin-n); err != nil {
			return end, err
		}
		data, begin = append(part, data...), begin-n
	}
	for len(p.Items) < limit && len(data) > 0 {
		at := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1 // the byte at the end ends this line
		if at == 0 && begin > 0 && int(end-begin) < maxRead {
			break // it begins before what was read
		}
		var e Entry
		if json.Unmarshal(data[at:], &e) == nil && e.Request != "" {
			p.Items = append(p.Items, e)
		}
		if data = data[:at]; at == 0 {
			return begin, nil
		}
	}
	return begin + int64(len(data)), nil
}
