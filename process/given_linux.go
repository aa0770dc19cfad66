package process

import (
	"os"

	"github.com/coreos/go-systemd/v22/activation"
)

// GivenSockets are the sockets that systemd has opened for this process (sd_listen_fds(3)), named by their units or FileDescriptorName. Programs that it
// starts are not told of them.
func GivenSockets() []*os.File { return activation.Files(true) }
