package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"picket/cloud"
	"picket/cloud/detect"
	"picket/reach"
)

// Place is where a broker runs, as far as that can be known without asking anybody outside.
type Place struct {
	Host   reach.Host
	Names  []string        // what people call the machine: names and addresses that somebody has given, the best first
	Cloud  *cloud.Provider // nil: none that is known
	Public []netip.Addr    // the addresses that the cloud has given to the machine, on its card or not
	Asked  bool            // the cloud's metadata service has answered
}

// Here finds out where this machine is; what people call it is not looked up. It takes two seconds at most, and longer than a moment only in a cloud.
func Here(ctx context.Context, d detect.Detector) (*Place, error) {
	host, err := reach.ThisHost()
	if err != nil {
		return nil, err
	}
	p := &Place{Host: host}
	id := d.Cloud()
	if id == "" {
		return p, nil
	}
	if provider, ok := cloud.Lookup(id); ok {
		p.Cloud = &provider
	}
	// Who cannot be asked now is asked at the next start; what was known before stays in the certificate.
	if public, err := d.Public(ctx, id); err == nil {
		p.Public, p.Asked = public, true
	}
	return p, nil
}

// Addresses are all that the server certificate has to be valid for, beside what people call the machine.
func (p *Place) Addresses() []netip.Addr { return append(p.Host.Addrs(), p.Public...) }

// Target is what to enter on a phone.
type Target struct {
	Host    string
	Opening reach.Opening
	// Internet: it leads over the internet, so that ports have to be open there and TLS comes first.
	Internet bool
}

// Target chooses among names, public addresses and the machine's own what a phone is likeliest to get through to. It is false when no listener
// can be reached from elsewhere.
func (p *Place) Target(report reach.Report) (Target, bool) {
	opening, addr, ok := report.Phone()
	if !ok {
		return Target{}, false
	}
	t := Target{Host: addr.Addr.String(), Opening: opening, Internet: addr.Scope == reach.Internet}
	switch {
	case len(p.Names) > 0:
		t.Host = p.Names[0]
		a, err := netip.ParseAddr(t.Host)
		// A name of the local network is not one of the internet.
		local := err == nil && (a.IsPrivate() || a.IsLoopback()) || err != nil && slices.ContainsFunc(localDomains, func(d string) bool { return strings.HasSuffix(t.Host, "."+d) })
		t.Internet = !local
	case len(p.Public) > 0:
		t.Host, t.Internet = p.Public[0].String(), true
	}
	return t, true
}

// PageURL is the address of the page for a phone's browser; empty when no phone gets there.
func (p *Place) PageURL(report reach.Report) string {
	page, at, ok := report.PhonePage()
	target, reachable := p.Target(report)
	if !ok || !reachable {
		return ""
	}
	own := page.PageURL(at.Addr)
	if scheme, _, _ := strings.Cut(own, "://"); target.Host != at.Addr.String() {
		return scheme + "://" + net.JoinHostPort(target.Host, strconv.Itoa(page.Listener.Port)) + "/"
	}
	return own
}

// Lost says that the machine is in a cloud, has no public address of its own, and nothing tells the one that the cloud has given it.
func (p *Place) Lost(t Target) bool { return p.Cloud != nil && !t.Internet && len(p.Names) == 0 }

const namesFile = "names"

// keepNames notes what the machine is called, for all later starts; without names it says what was noted before.
func (r *Result) keepNames(names []string) error {
	file := filepath.Join(r.Dir, namesFile)
	if len(names) > 0 {
		if err := writeFile(file, []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
			return fmt.Errorf("keeping the names: %w", err)
		}
		r.Names = names
		return nil
	}
	return r.ReadNames()
}

// ReadNames takes up the names that were kept.
func (r *Result) ReadNames() error {
	data, err := os.ReadFile(filepath.Join(r.Dir, namesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the names that were kept: %w", err)
	}
	r.Names = strings.Fields(string(data))
	return nil
}
