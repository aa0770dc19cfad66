// Package web is what a listener of the broker answers HTTP requests with: files of a directory (http_dir), or the phone's page. The upgrade to WebSocket
// is the listener's.
package web

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"picket/broker"
)

// Pages returns what [broker.Config.HTTP] wants: the files of a listener's http_dir, or else page, unless the listener does not want it. page reports
// false when the path is none of its own; rest answers then.
func Pages(page func(*broker.Listener, http.ResponseWriter, *http.Request) bool) func(*broker.Listener, http.Handler) (http.Handler, error) {
	return func(l *broker.Listener, rest http.Handler) (http.Handler, error) {
		switch {
		case l.HTTPDir != "":
			return Files(l.HTTPDir)
		case l.ServesPage():
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !page(l, w, r) {
					rest.ServeHTTP(w, r)
				}
			}), nil
		}
		return rest, nil
	}
}

// Files serves the files of a directory. Directories are not listed, and links to the outside are not followed.
func Files(dir string) (http.Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("http_dir: %w", err)
	}
	files := root.FS()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, files) }), nil
}

// serveFile serves one file.
func serveFile(w http.ResponseWriter, r *http.Request, files fs.FS) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are served here.", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = "."
	}
	st, err := fs.Stat(files, name)
	if err == nil && st.IsDir() {
		_, err = fs.Stat(files, path.Join(name, "index.html"))
	}
	if err != nil { // also when a link leads to the outside
		http.NotFound(w, r)
		return
	}
	http.FileServerFS(files).ServeHTTP(w, r)
}
