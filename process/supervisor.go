package process

import (
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// The states of a service that its supervisor is told; see sd_notify(3).
const (
	ServiceReady    = "READY=1"
	ServiceStopping = "STOPPING=1"
	ServiceAlive    = "WATCHDOG=1"
)

// NotifySupervisor tells systemd what state this process is in, one assignment of sd_notify(3) each. Without a supervisor that wants to know,
// and where it does not take the message, nothing happens: it has a time limit of its own for what it waits for.
func NotifySupervisor(states ...string) {
	_, _ = daemon.SdNotify(false, strings.Join(states, "\n"))
}

// NotifyReloading tells systemd that the configuration is being read again. [ServiceReady] ends it.
func NotifyReloading() {
	NotifySupervisor("RELOADING=1", daemon.SdNotifyMonotonicUsec())
}

// WatchdogPeriod is how often systemd wants [ServiceAlive]: half of the unit's WatchdogSec; zero when it does not.
func WatchdogPeriod() time.Duration {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return limit / 2
}
