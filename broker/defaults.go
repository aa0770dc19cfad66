package broker

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"picket/access"
	"picket/logging"
)

// Defaults returns the configuration without listeners and with every option at its default: what mosquitto 2.0.20 does (its code,
// where the manual says otherwise) unless a comment says why not, and nobody may connect without a user name.
func Defaults() Config {
	return Config{
		Security:            []access.Config{{AllowZeroLengthID: true, AutoIDPrefix: "auto-"}},
		Log:                 logging.Config{Dest: []logging.Dest{{Kind: logging.Stderr}}, Types: logging.Default, Timestamp: true, Facility: -1},
		ConnectionMessages:  true,
		MaxInflightMessages: 20,
		MaxQueuedMessages:   1000,
		RetainAvailable:     true,
		TCPNoDelay:          true, // unlike mosquitto: a connection is written to once for all that a batch has for it, so waiting for more gains nothing
		SysInterval:         10 * time.Second,
		ConnectTimeout:      10 * time.Second,
		MaxOutputBytes:      8 << 20,
	}
}

// machineMemory returns the memory that there is for the process: the machine's or, if that is less, the control group's.
// 4 GiB where the system does not say.
func machineMemory() int64 {
	total := int64(4 << 30)
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
			// "MemTotal:       24568832 kB"
			if f := strings.Fields(s.Text()); len(f) == 3 && f[0] == "MemTotal:" {
				if n, err := strconv.ParseInt(f[1], 10, 64); err == nil && n > 0 {
					total = n << 10
				}
				break
			}
		}
	}
	if data, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && n > 0 { // otherwise "max"
			total = min(total, n)
		}
	}
	return total
}
