// Package sentinel is a Redis Sentinel: it watches masters, agrees with others that one is down, and promotes a replica. What it
// decides is in sentinel/machine; here are its connections, its clients, its configuration file and its scripts.
package sentinel

import (
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"picket/cause"
	"picket/process"
	"picket/sentinel/machine"
)

// Sentinel is one running sentinel.
type Sentinel struct {
	cfg     *Config
	log     *logger
	acl     *acl
	m       *machine.Machine // owned by loop
	version string
	runID   string // of this process; not the sentinel's id
	started time.Time
	clients clients
	stats   counters
	metrics *metrics
	resolve resolver

	ctx       context.Context
	cancel    context.CancelCauseFunc
	done      chan struct{} // closed when the loop ends
	inbox     chan func()
	wg        sync.WaitGroup
	listeners []net.Listener
	serverTLS *tls.Config
	peerTLS   *tls.Config // nil: plain

	// Owned by loop.
	links   map[machine.LinkID]*peer
	scripts map[machine.ScriptID]*os.Process
	saveErr error // of the last write
	// handshakes are those that failed and were told: why, by who is at the other end.
	handshakes map[string]string
}

// settled is when a sentinel that was started is taken to be connected with everything.
const settled = 10 * time.Second

// ExitError ends the process with a status of its own.
type ExitError struct{ Status int }

func (e *ExitError) Error() string { return "exit status " + strconv.Itoa(e.Status) }

// New prepares a sentinel: its log is opened, its sockets listen, its id is made and kept if it had none. version is shown in
// INFO; stdout gets the log where no file is configured.
func New(cfg *Config, version string, stdout io.Writer) (*Sentinel, error) {
	if !writable(cfg.Path) {
		return nil, fmt.Errorf("Sentinel config file %s is not writable: it is where the state is kept. Exiting", cfg.Path)
	}
	if cfg.Dir != "" {
		if err := os.Chdir(cfg.Dir); err != nil {
			return nil, fmt.Errorf("Can't chdir to '%s': %w", cfg.Dir, err) //nolint:staticcheck // Redis' text
		}
	}
	log, err := openLog(cfg, stdout)
	if err != nil {
		return nil, err
	}
	s := &Sentinel{
		cfg: cfg, log: log, version: version, runID: randomID(), started: time.Now(), done: make(chan struct{}), inbox: make(chan func(), 256),
		links: map[machine.LinkID]*peer{}, scripts: map[machine.ScriptID]*os.Process{}, metrics: newMetrics(), handshakes: map[string]string{},
	}
	s.clients.byID = map[int64]*client{}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	if err := s.prepare(); err != nil {
		s.cancel(err)
		for _, l := range s.listeners {
			_ = l.Close()
		}
		if cfg.LogFile != "" {
			// Whoever configured a log looks there; standard error may be nobody's.
			log.printf(LogWarning, "%v", err)
			err = &ExitError{Status: 1}
		}
		log.close()
		return nil, err
	}
	return s, nil
}

func (s *Sentinel) prepare() error {
	var err error
	if s.acl, err = newACL(s.cfg); err != nil {
		return err
	}
	if s.serverTLS, s.peerTLS, err = s.cfg.TLS.load(s.cfg.TLSPort != 0); err != nil {
		return err
	}
	s.log.printf(LogWarning, "Picket %s sentinel, pid=%d, just started", s.version, os.Getpid())
	s.log.printf(LogWarning, "Configuration loaded")
	for _, name := range s.cfg.NoEffect {
		s.log.printf(LogNotice, "The directive %s has no effect in a sentinel", name)
	}
	if err := s.listen(); err != nil {
		return err
	}
	if s.cfg.Metrics != "" {
		if err := s.serveMetrics(); err != nil {
			return err
		}
	}
	if err := writePidFile(s.cfg); err != nil {
		s.log.printf(LogWarning, "Failed to write PID file: %v", err)
	}
	fresh := s.cfg.State.MyID == ""
	if fresh {
		s.cfg.State.MyID = randomID()
		if err := s.cfg.write(s.cfg.State, s.acl.lines()); err != nil {
			return fmt.Errorf("Failed to save config file %s: %w", s.cfg.Path, err) //nolint:staticcheck // Redis' text
		}
		s.tellInPlace()
		s.log.printf(LogNotice, "Sentinel new configuration saved on disk")
	}
	s.log.printf(LogNotice, "Running mode=sentinel, port=%d.", s.cfg.Port)
	s.log.printf(LogWarning, "Sentinel ID is %s", s.cfg.State.MyID)
	port := s.cfg.Port
	if s.cfg.TLS.Replication && s.cfg.TLSPort != 0 {
		port = s.cfg.TLSPort
	}
	s.m, err = machine.New(s.cfg.State, machine.Options{
		Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Resolve: s.resolve.lookup, Executable: executable,
		Port: port, Password: s.cfg.Password, Probe: true,
	}, s.clock())
	return err
}

func randomID() string {
	var b [20]byte
	crand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// clock is the machine's view of time. Mono starts well above 0, which stands for never.
func (s *Sentinel) clock() machine.Clock {
	now := time.Now()
	return machine.Clock{Mono: 3600e3 + now.Sub(s.started).Milliseconds(), Wall: now.UnixMilli()}
}

// Run serves until ctx is done or the sentinel is told to end. The error is an *ExitError where the process must end with a
// status of its own.
func (s *Sentinel) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		s.log.printf(LogWarning, "Received a signal to end, scheduling shutdown...")
		s.stop(nil)
	})()
	for _, l := range s.listeners {
		s.wg.Go(func() { s.accept(l) })
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	s.wg.Go(func() { s.rotate(hangup) })
	notify(s.cfg.Supervised, process.ServiceReady, "STATUS=Ready to watch")
	defer time.AfterFunc(settled, process.Trim).Stop()
	s.loop()
	notify(s.cfg.Supervised, process.ServiceStopping)
	signal.Stop(hangup)
	close(s.done)
	for _, l := range s.listeners {
		l.Close()
	}
	for _, p := range s.links {
		p.close()
	}
	for _, c := range s.allClients() {
		c.kill(false)
	}
	s.metrics.close()
	s.wg.Wait()
	if s.cfg.PidFile != "" {
		os.Remove(s.cfg.PidFile)
	}
	s.log.printf(LogWarning, "Sentinel is now ready to exit, bye bye...")
	s.log.close()
	err := context.Cause(s.ctx)
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit
	}
	return nil
}

// rotate goes on in a new log file at SIGHUP, which ends a sentinel no more than it ends Redis'.
func (s *Sentinel) rotate(hangup <-chan os.Signal) {
	for {
		select {
		case <-hangup:
			s.log.rotate()
			s.log.printf(LogNotice, "Received SIGHUP: the log file was opened anew. The configuration is read at the start only")
		case <-s.done:
			return
		}
	}
}

// stop ends the loop. err is what Run returns, if it is an *ExitError.
func (s *Sentinel) stop(err error) {
	if err == nil {
		err = context.Canceled
	}
	s.cancel(err)
}

// loop owns the machine: it alone calls it.
func (s *Sentinel) loop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := s.clock()
		s.m.SetClock(now)
		if s.m.Due() <= now.Mono {
			s.m.Tick()
			s.perform()
			select {
			case <-s.ctx.Done():
				return
			default:
			}
			// Others must get their turn even if something is always due.
			select {
			case f := <-s.inbox:
				s.m.SetClock(s.clock())
				f()
				s.perform()
			default:
			}
			continue
		}
		timer.Reset(time.Duration(s.m.Due()-now.Mono) * time.Millisecond)
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		case f := <-s.inbox:
			s.m.SetClock(s.clock())
			f()
			for range len(s.inbox) { // all that has come meanwhile, then one round of what follows from it
				(<-s.inbox)()
			}
			s.perform()
		}
	}
}

// post has the loop run f. It gives up when the sentinel ends.
func (s *Sentinel) post(f func()) {
	select {
	case s.inbox <- f:
	case <-s.done:
	}
}

// call has the loop run f, carry out what follows, and waits for it.
func (s *Sentinel) call(f func()) {
	ran := make(chan struct{})
	s.post(func() {
		f()
		s.perform()
		close(ran)
	})
	select {
	case <-ran:
	case <-s.done:
	}
}

// Commands to so many servers at once are answered one by one within a moment. Most of what it costs to watch them is to wake up for each answer, so they are
// let gather first.
const (
	many      = 6
	gathering = time.Millisecond
)

// perform carries out what the machine wants, in its order. Commands to one connection are written together, but never before a
// Save that stands ahead of them.
func (s *Sentinel) perform() {
	var written uint64
	for {
		outputs := s.m.Take()
		if len(outputs) == 0 {
			return
		}
		var dirty []*peer
		flush := func() {
			for _, p := range dirty {
				p.flush()
			}
			if len(dirty) >= many {
				nap(gathering)
			}
			dirty = dirty[:0]
		}
		for _, o := range outputs {
			switch o := o.(type) {
			case machine.Send:
				if p := s.links[o.Link]; p != nil {
					if len(p.out) == 0 {
						dirty = append(dirty, p)
					}
					p.send(o.Command)
				}
			case machine.Save:
				flush()
				if o.Seq > written {
					written = o.Seq
					s.save(o.Seq)
				}
			case machine.Exit:
				s.log.printf(LogWarning, "%s", o.Reason)
				s.stop(&ExitError{o.Code})
				return
			default:
				s.carryOut(o)
			}
		}
		flush()
	}
}

// carryOut does what may come before or after what is sent.
func (s *Sentinel) carryOut(o machine.Output) {
	switch o := o.(type) {
	case machine.Connect:
		s.connect(o)
	case machine.Close:
		if p := s.links[o.Link]; p != nil {
			delete(s.links, o.Link)
			p.flush()
			if o.Abort {
				p.abort()
			}
			p.close()
		}
	case machine.Event:
		s.event(o)
	case machine.Held:
		s.held(o)
	case machine.StartScript:
		s.startScript(o)
	case machine.KillScript:
		if p := s.scripts[o.ID]; p != nil {
			p.Kill()
		}
	case machine.Drop:
		s.metrics.forget(o.Master)
	}
}

// save writes the configuration file and tells the machine whether it is safe.
func (s *Sentinel) save(seq uint64) {
	began := time.Now()
	inPlace := s.cfg.InPlace
	s.saveErr = s.cfg.write(s.m.State(), s.acl.lines())
	if inPlace == nil {
		s.tellInPlace()
	}
	s.metrics.saved(time.Since(began), s.saveErr)
	if s.saveErr != nil {
		s.log.printf(LogWarning, "WARNING: Sentinel was not able to save the new configuration on disk!!!: %v [%s]", s.saveErr, cause.SentinelConfigNotSaved)
	} else {
		s.log.printf(LogDebug, "Sentinel new configuration saved on disk")
	}
	s.m.Saved(seq, s.saveErr)
}

// tellInPlace says that the file is written in place.
func (s *Sentinel) tellInPlace() {
	if s.cfg.InPlace != nil {
		s.log.printf(LogWarning, "%s is written in place, since no new file can be put in its place (%v). A crash in the middle of a write would leave a part of it", s.cfg.Path, s.cfg.InPlace)
	}
}

// event logs and publishes.
func (s *Sentinel) event(e machine.Event) {
	s.log.printf(eventLevel(e.Level), "%s %s", e.Name, e.Payload)
	if e.Level != machine.Debug {
		s.publishEvent(e.Name, e.Payload)
	}
	s.metrics.event(e)
}

// held logs what holds a failover back, by its id.
func (s *Sentinel) held(h machine.Held) {
	if h.Over {
		s.log.printf(LogNotice, "master %s: no longer so: %s [%s]", h.Master, h.Text, h.ID)
		return
	}
	s.log.printf(LogWarning, "master %s: %s [%s]", h.Master, h.Gate, h.ID)
}
