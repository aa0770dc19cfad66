// Package acme gets the server's certificate from a public authority by ACME (RFC 8555, RFC 8738 for addresses), and renews it.
//
// A [Manager] holds ports 80 and 443 for the authority's questions: port 80, which people are told to open, is tried alone first, since each attempt at a
// closed port takes its time and counts at the authority; after a failure both are tried. It keeps the account and what was issued in a folder of the data directory, and
// tells when there is a certificate to serve. It never takes one away: while renewal fails, the one in use goes on being served.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"picket/cause"
	"picket/printable"
)

// ShortLived is Let's Encrypt's profile of certificates for 160 hours, the only one that it has for addresses.
const ShortLived = "shortlived"

// Config says what to ask for, and whom.
type Config struct {
	Dir   string // where account and certificates are kept
	Name  string // a host name or a public address
	Email string // of the person to write to; may be empty
	CA    string // URL of the authority's directory; empty: Let's Encrypt's
	Roots string // file of the certificates that the authority's own server is trusted by; empty: the system's
	// HTTPPort and TLSPort are the local ports at which the authority's connections arrive; 0: 80 and 443.
	HTTPPort, TLSPort int
	Renewal           Renewal
}

// Renewal is when a certificate is renewed.
type Renewal struct {
	// Check is how often it is looked whether it is time; 0: ten minutes.
	Check time.Duration
	// Left is the share of its life that is left then, from 0 to 1; 0: a third.
	Left float64
}

// Failure is an attempt that brought no certificate.
type Failure struct {
	Name  string
	Cause cause.ID
	Seen  string    // in the authority's or the system's words
	Until time.Time // when the certificate in use ends; zero: there is none
	// Share is what is left of its life, from 1 to 0.
	Share float64
}

// Manager gets and renews. Its goroutines end with [Manager.Close].
type Manager struct {
	config    Config
	magic     *certmagic.Config
	issuer    *certmagic.ACMEIssuer
	cache     *certmagic.Cache
	servers   []*http.Server
	listeners []net.Listener
	running   sync.WaitGroup
	cancel    context.CancelFunc

	closing  sync.Once
	telling  sync.Mutex // one call of these at a time
	obtained func(name string, notAfter time.Time)
	refused  func(Failure)
}

// File is where the certificate and its key lie once there are any.
func File(dir string) string { return filepath.Join(dir, "certificate.pem") }

// Open opens the ports, which root has to do before it becomes somebody else. The error is a [Failure] when neither can be had.
func Open(c Config) (*Manager, error) {
	if c.HTTPPort == 0 {
		c.HTTPPort = certmagic.HTTPChallengePort
	}
	if c.TLSPort == 0 {
		c.TLSPort = certmagic.TLSALPNChallengePort
	}
	m := &Manager{config: c}
	var failed []error
	for _, port := range []int{c.HTTPPort, c.TLSPort} {
		l, err := net.Listen("tcp", ":"+strconv.Itoa(port)) //nolint:noctx // it does not wait
		if err != nil {
			failed = append(failed, err)
		}
		m.listeners = append(m.listeners, l)
	}
	if len(failed) == len(m.listeners) {
		return nil, &Failure{Name: c.Name, Cause: cause.ACMEPortTaken, Seen: errors.Join(failed...).Error()}
	}
	return m, nil
}

// Start begins to get a certificate, and goes on until [Manager.Close]. obtained is told of each one that lies in [File], and refused why there is
// none. They are called from any goroutine, one at a time.
func (m *Manager) Start(ctx context.Context, obtained func(name string, notAfter time.Time), refused func(Failure)) error {
	m.obtained, m.refused = obtained, refused
	if err := os.MkdirAll(m.config.Dir, 0o700); err != nil {
		return fmt.Errorf("folder for certificates: %w", err)
	}
	issuer := certmagic.ACMEIssuer{
		CA: m.config.CA, Email: m.config.Email, Agreed: true, Logger: zap.NewNop(),
		DisableHTTPChallenge: m.listeners[0] == nil, DisableTLSALPNChallenge: m.listeners[1] == nil || m.listeners[0] != nil,
		AltHTTPPort: m.config.HTTPPort, AltTLSALPNPort: m.config.TLSPort,
	}
	if issuer.CA == "" {
		issuer.CA = certmagic.LetsEncryptProductionCA
	}
	if _, err := netip.ParseAddr(m.config.Name); err == nil {
		issuer.Profile = ShortLived
	}
	if m.config.Roots != "" {
		pem, err := os.ReadFile(m.config.Roots)
		if err != nil {
			return fmt.Errorf("certificates that the authority is trusted by: %w", err)
		}
		issuer.TrustedRoots = x509.NewCertPool()
		if !issuer.TrustedRoots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no certificate in PEM form", m.config.Roots)
		}
	}
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil },
		RenewCheckInterval: m.config.Renewal.Check, Logger: zap.NewNop(),
	})
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: m.config.Dir}, Logger: zap.NewNop(), OnEvent: m.event,
		ReusePrivateKeys:   true, // some devices pin the server's key
		RenewalWindowRatio: m.config.Renewal.Left, OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	m.issuer = certmagic.NewACMEIssuer(m.magic, issuer)
	m.magic.Issuers = []certmagic.Issuer{m.issuer}
	ctx, m.cancel = context.WithCancel(ctx)
	m.serve(m.issuer)
	if err := m.magic.ManageAsync(ctx, []string{m.config.Name}); err != nil {
		return err
	}
	return m.write()
}

// serve answers the authority. Everybody else is told that there is nothing.
func (m *Manager) serve(issuer *certmagic.ACMEIssuer) {
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	for i, l := range m.listeners {
		if l == nil {
			continue
		}
		s := &http.Server{Handler: http.NotFoundHandler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10, ErrorLog: quiet}
		if i == 0 {
			s.Handler = issuer.HTTPChallengeHandler(s.Handler)
		} else {
			l = tls.NewListener(l, &tls.Config{GetCertificate: m.magic.GetCertificate, NextProtos: []string{"http/1.1", "acme-tls/1"}, MinVersion: tls.VersionTLS12})
		}
		m.servers = append(m.servers, s)
		m.running.Go(func() { _ = s.Serve(l) }) // it ends by Close only
	}
}

// Close ends everything that was started and gives the ports back. The certificate stays where it is.
func (m *Manager) Close() { m.closing.Do(m.close) }

func (m *Manager) close() {
	if m.cancel != nil {
		m.cancel()
		m.cache.Stop()
	}
	for _, s := range m.servers {
		_ = s.Close() // there is nothing to do about it
	}
	for _, l := range m.listeners {
		if l != nil {
			_ = l.Close() // the server may have done so
		}
	}
	m.running.Wait()
}

// event is told by certmagic what happens to a certificate.
func (m *Manager) event(_ context.Context, name string, data map[string]any) error {
	switch name {
	case "cert_obtained":
		if err := m.write(); err != nil {
			m.failed(err)
		}
	case "cert_failed":
		if err, ok := data["error"].(error); ok {
			m.failed(err)
		}
	}
	return nil
}

func (m *Manager) failed(err error) {
	f := explain(m.config.Name, err)
	if pair, err := tls.LoadX509KeyPair(File(m.config.Dir), File(m.config.Dir)); err == nil {
		f.Until = pair.Leaf.NotAfter
		f.Share = max(0, time.Until(f.Until).Seconds()/pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore).Seconds())
	}
	m.telling.Lock()
	defer m.telling.Unlock()
	m.issuer.DisableTLSALPNChallenge = m.listeners[1] == nil // port 443 is tried as well from now on
	m.refused(f)
}

// write puts the certificate that is kept, if there is one, with its key into one file, so that both change at once.
func (m *Manager) write() error {
	m.telling.Lock()
	defer m.telling.Unlock()
	issuer := m.magic.Issuers[0].IssuerKey()
	storage := m.magic.Storage
	cert, err := storage.Load(context.Background(), certmagic.StorageKeys.SiteCert(issuer, m.config.Name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	key, err := storage.Load(context.Background(), certmagic.StorageKeys.SitePrivateKey(issuer, m.config.Name))
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	file := File(m.config.Dir)
	whole := append(append(append([]byte{}, cert...), '\n'), key...)
	if before, err := os.ReadFile(file); err == nil && string(before) == string(whole) {
		return nil
	}
	if err := os.WriteFile(file+".new", whole, 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	m.obtained(m.config.Name, pair.Leaf.NotAfter)
	return nil
}

// Error words a failure for a log.
func (f *Failure) Error() string { return fmt.Sprintf("no certificate for %s: %s", f.Name, f.Seen) }

// explain finds the cause of a failure. The authority's words are a stranger's: they become one line of what can be printed.
func explain(name string, err error) Failure {
	f := Failure{Name: name, Cause: cause.ACMEUnreachable, Seen: oneLine(err.Error())}
	var problem acme.Problem
	if !errors.As(err, &problem) {
		return f
	}
	f.Cause = cause.ACMERefused
	words := problem.Detail
	kinds := []acme.Problem{problem}
	for _, sub := range problem.Subproblems {
		kinds = append(kinds, sub.Problem)
		words += "; " + sub.Detail
	}
	f.Seen = oneLine(words)
	for _, p := range kinds {
		kind := strings.TrimPrefix(p.Type, acme.ProblemTypeNamespace)
		if id, ok := problems[kind]; ok {
			f.Cause = id
		}
		// Not all authorities give these two types of their own.
		switch {
		case strings.Contains(p.Detail, "resolve"):
			f.Cause = cause.ACMENameElsewhere
		case strings.Contains(p.Detail, "Failed to connect"):
			f.Cause = cause.ACMEPortClosed
		}
	}
	return f
}

func oneLine(words string) string {
	return printable.Text(strings.Join(strings.Fields(words), " "))
}

// problems are the types of RFC 8555, section 6.7, that have something to be done about.
var problems = map[string]cause.ID{
	"connection":            cause.ACMEPortClosed,
	"dns":                   cause.ACMENameElsewhere,
	"unauthorized":          cause.ACMENameElsewhere,
	"incorrectResponse":     cause.ACMENameElsewhere,
	"tls":                   cause.ACMENameElsewhere,
	"caa":                   cause.ACMECAA,
	"rateLimited":           cause.ACMERateLimited,
	"serverInternal":        cause.ACMEUnreachable,
	"rejectedIdentifier":    cause.ACMERefused,
	"unsupportedIdentifier": cause.ACMERefused,
}
