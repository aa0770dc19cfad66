package listener

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"picket/cause"
)

// An idle plain connection is its struct and a slot in the loop's table.
func TestIdleSize(t *testing.T) {
	if n := unsafe.Sizeof(plain{}) + unsafe.Sizeof(&plain{}); n > 200 {
		t.Errorf("an idle connection takes %d bytes, more than 200", n)
	}
}

// childVariable makes the test's program a server with few file descriptors: its value is the front.
const childVariable = "LISTENER_TEST_FEW_DESCRIPTORS"

func init() {
	child = func() (bool, error) {
		front := os.Getenv(childVariable)
		if front == "" {
			return false, nil
		}
		return true, fewDescriptors(front)
	}
}

// fewDescriptors serves with 64 file descriptors until its input ends. It writes its address, and then each refusal and the
// processor time used so far.
func fewDescriptors(front string) error {
	limit := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	s, err := Open(context.Background(), []*Config{loopback()}, discarding{newEcho(nil)}, Options{
		Goroutines: front == "goroutines",
		Refused: func(r Refusal) {
			var u unix.Rusage
			unix.Getrusage(unix.RUSAGE_SELF, &u)
			fmt.Println(r.Cause, time.Duration(u.Utime.Nano()+u.Stime.Nano()))
		},
	})
	if err != nil {
		return err
	}
	fmt.Println(s.Sockets()[0].Addr)
	io.Copy(io.Discard, os.Stdin)
	s.Close()
	return nil
}

// Without file descriptors connections are refused with a cause, the processor stays idle, and service goes on when there
// are some again.
func TestFewDescriptors(t *testing.T) {
	for _, front := range []string{"loops", "goroutines"} {
		t.Run(front, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"="+front)
			cmd.Stderr = os.Stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			if !lines.Scan() {
				t.Fatal("no address")
			}
			addr := lines.Text()
			var conns []net.Conn
			for range 200 {
				conns = append(conns, dial(t, addr))
			}
			var before, after time.Duration
			for i, d := range []*time.Duration{&before, &after} {
				if i == 1 && front == "loops" {
					time.Sleep(time.Second) // the next report is due
					conns = append(conns, dial(t, addr))
				}
				id, used := string(cause.ConnectFlood), ""
				for id == string(cause.ConnectFlood) { // those that had not been accepted yet make room first
					if !lines.Scan() {
						t.Fatal("no report")
					}
					id, used, _ = strings.Cut(lines.Text(), " ")
				}
				if cause.ID(id) != cause.FDLimit {
					t.Errorf("refused: %s", lines.Text())
				}
				if *d, err = time.ParseDuration(used); err != nil {
					t.Fatal(err)
				}
			}
			if used := after - before; used > 600*time.Millisecond { // one that turns in circles uses all of it
				t.Errorf("%v of processor time in a second without descriptors", used)
			}
			for _, c := range conns {
				c.Close()
			}
			for end := time.Now().Add(patience); ; {
				c := dial(t, addr)
				c.Write([]byte{0x10})
				c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
				_, err := c.Read(make([]byte, 1))
				c.Close()
				if os.IsTimeout(err) {
					break // it was let in
				}
				if time.Now().After(end) {
					t.Fatalf("with descriptors again: %v", err)
				}
			}
			in.Close()
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}
