// Package probe tries to connect to an MQTT broker as a client would, stage by stage, and notes what it sees as facts for package
// doctor. It knows no broker's inside: it speaks to any.
//
// Every probe has a limit and ends with its context. Nothing is said to a server that it would not hear from ordinary clients, but for the
// questions that find out what a port speaks; those come only after the ordinary way has failed.
package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"picket/cause"
	"picket/doctor"
)

// Options say whom to connect to, as whom, and how thoroughly.
type Options struct {
	Target doctor.Target

	User        string
	Password    []byte
	HasPassword bool

	Resolver *net.Resolver // nil for the system's

	Roots       *x509.CertPool // authorities to trust; nil for the system's
	RootsFile   string         // what to call them
	Certificate *tls.Certificate
	Insecure    bool // do not check the server's certificate

	// ID is the client identifier to try; empty for a random one. Whoever is connected with it is thrown out by the test.
	ID string
	// Topic is where to publish; empty for a random one below picket-doctor/. Its subscribers get the test's messages.
	Topic string
	// Origin is what a browser would send for a page; empty for none.
	Origin string
	// KeepAlive in seconds, 0 meaning 60.
	KeepAlive int
	// Size is the largest payload to try, in bytes; 0 means 64 KiB on a topic of the doctor's own, and small ones alone on Topic.
	Size int
	// Stay is for how long to test whether idle connections last; 0 for not at all.
	Stay time.Duration
	// Ports are the other ports to look at when the asked one does not lead to a broker; nil for those that machines and brokers usually have.
	Ports []int
	// Limit bounds each step; 0 means 5 seconds. It grows with the round trip that was measured, up to four times.
	Limit time.Duration
	// Whole bounds everything but the quiet connections of Stay; 0 means 30 seconds. What is not known by then is left out, and the last fact
	// says so.
	Whole time.Duration

	// Fact is told of each fact as it becomes known, and Doing of what takes a while. Either may be nil.
	Fact  func(doctor.Fact)
	Doing func(cause.Text)
}

// prober is one examination.
type prober struct {
	Options
	target    doctor.Target // with scheme and port
	facts     []doctor.Fact
	addresses []netip.Addr
	own       bool         // one of them belongs to this machine
	settled   bool         // scheme and port are
	address   netip.Addr   // the one that answers
	others    []netip.Addr // further ones that are open

	alpn []string // application protocols to offer in TLS

	trip   time.Duration // the longest that it took to open a connection
	given  time.Duration // the limit of a step as it was asked for
	end    time.Time     // when the time for the whole is over
	timed  bool          // facts that come in after that count no more
	trying cause.Text    // what is being tried
	ready  bool          // the connection is such that quiet ones can be held

	hops      *hopWatch // of the whole examination
	noServers bool      // the system does not tell its name servers
	noICMP    bool      // … nor messages about connections
	noPing    bool      // … nor lets us ping

	works attempt // a CONNECT that was accepted
	user  *user   // the connection of the use stage
}

// Run examines a target until its way ends. The error is that of the context, and then the facts are incomplete.
func Run(ctx context.Context, o Options) ([]doctor.Fact, error) {
	if o.Limit == 0 {
		o.Limit = 5 * time.Second
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 60
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Ports == nil {
		o.Ports = usualPorts
	}
	p := &prober{Options: o, target: o.Target, given: o.Limit}
	if p.target.User != "" && p.User == "" {
		p.User = p.target.User
	}
	if p.target.Password != "" && !p.HasPassword {
		p.Password, p.HasPassword = []byte(p.target.Password), true
	}
	defer func() {
		if p.user != nil {
			p.user.c.Close()
		}
	}()
	p.hops = watchHops()
	defer p.hops.close()
	p.stages(ctx)
	return p.facts, ctx.Err()
}

// stages tries one after the other until the way ends or the time for the whole is over.
func (p *prober) stages(ctx context.Context) {
	if p.Whole == 0 {
		p.Whole = 30 * time.Second
	}
	p.end = time.Now().Add(p.Whole)
	whole, cancel := context.WithDeadline(ctx, p.end)
	defer cancel()
	p.timed = true
	going := true
	for _, stage := range []func(context.Context) bool{p.name, p.tcp, p.choose, p.tls, p.upgrade, p.connect, p.use, p.stay} {
		if going = stage(whole); !going || whole.Err() != nil {
			break
		}
	}
	p.elsewhere(whole)
	if !going {
		p.unseen(runtime.GOOS)
	}
	cut := p.late()
	p.timed = false
	if ctx.Err() != nil {
		return
	}
	if cut {
		p.add(doctor.Unfinished{Seconds: int(p.Whole.Seconds()), During: p.trying})
	} else if going && p.Stay > 0 && p.ready {
		p.idle(ctx)
	}
}

// unseen says what a system has not let us see that could tell causes apart.
func (p *prober) unseen(system string) {
	f := doctor.Unseen{System: system}
	note := func(missing bool, what string) {
		if missing {
			f.What = append(f.What, what)
		}
	}
	note(p.noICMP, doctor.UnseenICMP)
	note(p.noPing, doctor.UnseenPing)
	note(system != "linux" || p.hops.conn == nil, doctor.UnseenDistance)
	note(system != "linux", doctor.UnseenFigures)
	note(p.noServers, doctor.UnseenServers)
	if len(f.What) > 0 {
		p.add(f)
	}
}

// late tells whether the time for the whole is over. A step may notice so by its own clock, before the context does.
func (p *prober) late() bool { return !time.Now().Before(p.end) }

// add notes a fact. What comes in when the time is over was cut short and tells nothing.
func (p *prober) add(f doctor.Fact) {
	if p.timed && p.late() {
		return
	}
	p.facts = append(p.facts, f)
	if p.Fact != nil {
		p.Fact(f)
	}
}

// doing says what takes a while.
func (p *prober) doing(en, zh string) {
	p.trying = cause.Text{EN: en, ZH: zh}
	if p.Doing != nil {
		left := max(time.Until(p.end).Round(time.Second), 0)
		p.Doing(cause.Text{EN: fmt.Sprintf("%s (%v left)", en, left), ZH: fmt.Sprintf("%s（还剩 %v）", zh, left)})
	}
}

// slow takes notice of a round trip: what takes long there and back takes long in every step.
func (p *prober) slow(trip time.Duration) {
	if trip > p.trip {
		p.trip = trip
		p.Limit = max(p.Limit, min(4*trip, 4*p.given))
	}
}

// Target is the target that facts are about, with the scheme and the port that were chosen for it.
func Target(given doctor.Target, facts []doctor.Fact) doctor.Target {
	for _, f := range facts {
		if e, ok := f.(doctor.Entered); ok {
			given.Scheme, given.Port, given.Path = e.Scheme, e.Port, e.Path
		}
	}
	return given
}

// since is the time that has passed, for a fact.
func since(start time.Time) doctor.Milliseconds { return ms(time.Since(start)) }

// ms is a span of time for a fact, to a tenth of a millisecond.
func ms(d time.Duration) doctor.Milliseconds {
	return doctor.Milliseconds(float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond))
}
