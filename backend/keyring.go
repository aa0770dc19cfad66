package backend

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// keyring has the keys of an address. They are read when the first is needed, again when they are older than refreshAfter, and when a token names one that is not
// there; never more often than patience allows, so that tokens that name anything cannot have the address asked at will. While it does not answer, the keys of before
// count for keysLast.
type keyring struct {
	url    *url.URL
	client *http.Client
	noted  func(err error, start time.Time) // is told of each answer
	now    func() time.Time

	mu     sync.Mutex
	keys   signers
	at     time.Time     // when they were read; zero: never
	tried  time.Time     // when they were asked for last
	failed error         // of the last try
	flight chan struct{} // closed when the answer is there; nil: nobody asks
	wait   sync.WaitGroup

	ctx context.Context // ends when the keyring is closed
	end context.CancelFunc
}

const (
	refreshAfter = 5 * time.Minute
	keysLast     = 24 * time.Hour
	unknownGap   = 5 * time.Second // between two questions for a key that is not there
	failureGap   = time.Second     // between two tries while the address does not answer
	keysPatience = 5 * time.Second // for one answer
	maxKeysFile  = 1 << 20
)

func newKeyring(at *url.URL, config *tls.Config) *keyring {
	k := &keyring{url: at, now: time.Now, noted: func(error, time.Time) {}, client: &http.Client{
		Timeout:       keysPatience,
		Transport:     &http.Transport{MaxConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxAnswer, TLSClientConfig: config, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	k.ctx, k.end = context.WithCancel(context.Background())
	return k
}

func (k *keyring) close() {
	k.mu.Lock() // nobody begins to ask any more
	k.end()
	k.mu.Unlock()
	k.wait.Wait()
	k.client.CloseIdleConnections()
}

// find returns the keys that may have signed a token. An error says that nobody knows: the address has not answered.
func (k *keyring) find(ctx context.Context, algorithm, id string) ([]signer, error) {
	for asked := false; ; asked = true {
		k.mu.Lock()
		now := k.now()
		usable := !k.at.IsZero() && now.Sub(k.at) < keysLast
		var some []signer
		if usable {
			some = k.keys.find(algorithm, id)
		}
		if len(some) > 0 || asked {
			failed := k.failed
			if usable && now.Sub(k.at) >= refreshAfter {
				k.ask(now, failureGap)
			}
			k.mu.Unlock()
			if !usable && failed == nil {
				failed = context.DeadlineExceeded
			}
			if len(some) > 0 || failed == nil {
				return some, nil
			}
			return nil, failed
		}
		gap := unknownGap
		if !usable || k.failed != nil {
			gap = failureGap
		}
		k.ask(now, gap)
		flight := k.flight
		k.mu.Unlock()
		if flight == nil {
			continue
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ask has the keys read beside what is going on, unless that is under way or was tried within the gap. mu is held.
func (k *keyring) ask(now time.Time, gap time.Duration) {
	if k.flight != nil || !k.tried.IsZero() && now.Sub(k.tried) < gap && now.After(k.tried) || k.ctx.Err() != nil {
		return
	}
	k.tried, k.flight = now, make(chan struct{})
	k.wait.Go(func() {
		start := time.Now()
		keys, err := k.read()
		if k.ctx.Err() == nil {
			k.noted(err, start)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.failed = err; err == nil {
			k.keys, k.at = keys, k.now()
		}
		close(k.flight)
		k.flight = nil
	})
}

// read asks the address.
func (k *keyring) read() (signers, error) {
	req, err := http.NewRequestWithContext(k.ctx, http.MethodGet, k.url.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", k.url.Redacted(), resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxKeysFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeysFile {
		return nil, fmt.Errorf("%s: an answer of more than %d bytes", k.url.Redacted(), maxKeysFile)
	}
	keys, err := parseKeySet(data, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.url.Redacted(), err)
	}
	return keys, nil
}
