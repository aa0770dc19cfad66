// Package packed sends the few files of a page to browsers: packed once, and not again while a browser has them.
package packed

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
)

// File is a file as it is sent. It is immutable.
type File struct {
	kind   string // Content-Type
	plain  []byte
	packed []byte // by gzip
	tag    string // ETag
}

var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".json": "application/json; charset=utf-8", ".txt": "text/plain; charset=utf-8",
}

// New packs a file; the end of its name says what it is.
func New(name string, data []byte) *File {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // neither a buffer nor this level can fail
	}
	sum := sha256.Sum256(data)
	return &File{kinds[path.Ext(name)], data, b.Bytes(), `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

// Size is how many bytes a browser loads that accepts gzip, without the headers.
func (f *File) Size() int { return len(f.packed) }

// Send sends the file, unless the browser has it already.
func (f *File) Send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are served here.", http.StatusMethodNotAllowed)
		return
	}
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache") // it is asked for again each time: a new version of Picket has a new page
	h.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = f.packed
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, bytes.NewReader(body)) // the browser may be gone
	}
}

// Protect sets the headers that keep a page to itself: what the policy (CSP) allows, no frame around it, no address of it told to others.
func Protect(w http.ResponseWriter, policy string) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
}
