package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"picket/cause"
)

// patience is how long whoever gets a backup may take none of it.
const patience = time.Minute

// stream is an answer of any length: it ends when nothing of it is taken.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (s *stream) Write(p []byte) (int, error) {
	s.begun = true
	if err := s.control.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return s.ResponseWriter.Write(p)
}

// ErrNoBackup: the broker makes no backups.
var ErrNoBackup = errors.New("this broker makes no backups")

// ServeBackup answers with a backup; keys: with private keys. One that cannot be made whole is cut off, which its end shows. With an error nothing has been answered.
func (a *About) ServeBackup(w http.ResponseWriter, r *http.Request, keys bool) error {
	if a.Backup == nil {
		return ErrNoBackup
	}
	out := &stream{ResponseWriter: w, control: http.NewResponseController(w)}
	if err := out.control.SetReadDeadline(time.Time{}); err != nil { // it would end the request's context
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	err := a.Backup(r.Context(), out, keys)
	if err != nil && out.begun {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		w.Header().Del("Content-Type")
	}
	return err
}

// Backup writes a backup of the broker to w; keys: with private keys. Who reads it has to look whether it is whole, as package backup does.
func (c *Client) Backup(ctx context.Context, w io.Writer, keys bool) error {
	body, err := c.open(ctx, "/api/v1/backup?"+url.Values{"keys": {strconv.FormatBool(keys)}}.Encode(), cause.English)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("the broker could not finish it: %w", err)
	}
	return nil
}

// open asks for an answer of any length, in a language.
func (c *Client) open(ctx context.Context, path string, lang cause.Lang) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://picket"+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Language", lang.String())
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		return nil, refusal(res)
	}
	return res.Body, nil
}

// Trace writes what passes between clients and the broker to w, in a language, until the context or the trace ends. query is that of GET /api/v1/trace.
func (c *Client) Trace(ctx context.Context, query url.Values, lang cause.Lang, w io.Writer) error {
	body, err := c.open(ctx, "/api/v1/trace?"+query.Encode(), lang)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err = io.Copy(w, body); ctx.Err() != nil {
		return nil // whoever reads it has had enough
	}
	return err
}
