package process

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pending is the signals that the kernel has not delivered yet, because the thread that is to take them waits for a processor.
type pending struct{ fd int } // a signalfd; -1 where there is none

func (p *pending) open() {
	var set unix.Sigset_t
	for of := range requestOf {
		set.Val[0] |= 1 << (of - 1) // none is above 32 on any machine
	}
	var err error
	if p.fd, err = unix.Signalfd(-1, &set, unix.SFD_NONBLOCK|unix.SFD_CLOEXEC); err != nil {
		p.fd = -1 // then they are seen when they are delivered
	}
}

// each takes the signals out of the kernel's queue.
func (p *pending) each(take func(Request)) {
	var info [unsafe.Sizeof(unix.SignalfdSiginfo{})]byte
	for p.fd >= 0 {
		n, err := unix.Read(p.fd, info[:])
		if err == unix.EINTR {
			continue
		}
		if n != len(info) {
			return // EAGAIN: that was all
		}
		take(requestOf[syscall.Signal(binary.NativeEndian.Uint32(info[:]))]) // ssi_signo comes first
	}
}

func (p *pending) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}
