//go:build unix

package testbed

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a program that a test has started. Whoever started it ends it, by [Process.Stop] or [Process.Kill].
type Process struct {
	Cmd  *exec.Cmd
	log  string        // file that has its standard output and error
	from int64         // where in it they begin
	done chan struct{} // closed when it has ended
	err  error         // how; to be read once done is closed
}

// Launch starts a command whose standard output and error are appended to the file log.
func Launch(cmd *exec.Cmd, log string) (*Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Cmd: cmd, log: log, from: before.Size(), done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended tells whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Said returns all that the process has written.
func (p *Process) Said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[p.from:])
}

// End returns the end of what the process has written, for the message of a test that fails.
func (p *Process) End() string {
	const most = 6000
	said := p.Said()
	if len(said) > most {
		said = said[len(said)-most:]
		said = said[strings.IndexByte(said, '\n')+1:]
	}
	return "its log ends:\n" + said
}

// Listening waits until all addresses, HOST:PORT, take connections.
func (p *Process) Listening(addrs ...string) error {
	for _, addr := range addrs {
		err := p.await(func() error {
			conn, err := net.DialTimeout("tcp", addr, time.Second)
			if err != nil {
				return fmt.Errorf("nobody listens at %s: %w", addr, err)
			}
			return conn.Close()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// errEnded is why a process does not get ready.
var errEnded = errors.New("has ended")

// await waits for a condition as long as the process lives.
func (p *Process) await(condition func() error) error {
	err := await(func() error {
		if p.Ended() {
			return nil
		}
		return condition()
	})
	switch {
	case p.Ended():
		return fmt.Errorf("%v %w: %v\n%s", p.Cmd.Args, errEnded, p.Cmd.ProcessState, p.End())
	case err != nil:
		return fmt.Errorf("%v: %w\n%s", p.Cmd.Args, err, p.End())
	}
	return nil
}

// Signal sends a signal; a process that has ended gets none.
func (p *Process) Signal(s syscall.Signal) { _ = p.Cmd.Process.Signal(s) }

// Stop ends the process by SIGTERM. It is an error when it is dead already, ends with a status other than 0 or not at all, or has reported a data
// race.
func (p *Process) Stop() error {
	if p.Ended() {
		return fmt.Errorf("%v has ended by itself: %v\n%s", p.Cmd.Args, p.Cmd.ProcessState, p.End())
	}
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(Patience):
		p.Signal(syscall.SIGQUIT) // a Go program says where it hangs
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			p.Signal(syscall.SIGKILL)
			<-p.done
		}
		return fmt.Errorf("%v does not end within %v of SIGTERM\n%s", p.Cmd.Args, Patience, p.End())
	}
	if err := p.raced(); err != nil {
		return err
	}
	if p.err != nil {
		return fmt.Errorf("%v ended with %w\n%s", p.Cmd.Args, p.err, p.End())
	}
	return nil
}

// Kill ends the process by SIGKILL, if it lives, and waits for its end. The error is a data race that it has reported.
func (p *Process) Kill() error {
	p.Signal(syscall.SIGKILL)
	<-p.done
	return p.raced()
}

// raced returns what the race detector has reported.
func (p *Process) raced() error {
	said := p.Said()
	if at := strings.Index(said, "WARNING: DATA RACE"); at >= 0 {
		return fmt.Errorf("%v: %s", p.Cmd.Args, said[at:min(len(said), at+8000)])
	}
	return nil
}
