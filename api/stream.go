package api

import (
	"context"
	"net/http"
	"time"
)

const (
	streamsAtOnce = 16          // streams that go on at once, beside the requests
	untaken       = time.Minute // how long whoever reads a stream may take nothing of it
)

// stream is an answer that goes on while something happens, or until its reader leaves.
type stream struct {
	writer  http.ResponseWriter
	control *http.ResponseController
}

// leaveKey is the key, in a request's context, of the function by which it gives its place back to requests that are over soon.
type leaveKey struct{}

// place takes one of the places of streams in exchange for the one of a request.
func (a *API) place(ctx context.Context) (leave func(), err error) {
	select {
	case a.streams <- struct{}{}:
		ctx.Value(leaveKey{}).(func())()
		return func() { <-a.streams }, nil
	default:
		no := busy()
		no.detail = "as many streams as may be (16) are going on"
		return nil, no
	}
}

// forParam says how long a stream goes on.
func forParam() param {
	return param{name: "for", kind: text, about: "How long it goes on, such as 10m; absent: until the reader leaves."}
}

// lasting is the context of a stream that goes on for as long as [forParam] says.
func (c *call) lasting() (context.Context, context.CancelFunc, error) {
	length, limited, err := c.duration("for")
	if err != nil || !limited {
		return c.request.Context(), func() {}, err
	}
	ctx, cancel := context.WithTimeout(c.request.Context(), length)
	return ctx, cancel, nil
}

// stream begins an answer of that kind.
func (c *call) stream(media string) (*stream, error) {
	s := &stream{c.writer, http.NewResponseController(c.writer)}
	if err := s.control.SetReadDeadline(time.Time{}); err != nil { // it would end the request's context
		return nil, err
	}
	c.writer.Header().Set("Content-Type", media)
	return s, s.send(nil)
}

// send writes and has it leave at once. It waits for a reader who is slow, and gives up one who takes nothing.
func (s *stream) send(data []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(untaken)); err != nil {
		return err
	}
	if _, err := s.writer.Write(data); err != nil {
		return err
	}
	return s.control.Flush()
}
